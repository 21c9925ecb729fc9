import { describeWith } from '@hallpass/service-kit/testing'
import { expect, it } from '@jest/globals'
import { callBackend, testJourney } from './journey.ts'
import { useJourney } from './journey-system.ts'
import { spring, springProgram, springWithoutApi } from './spring.ts'

const describeHere = describeWith(springProgram, '.ci/install-peers providers')

describeHere('the web UI with Spring Authorization Server', () => {
  const system = useJourney(spring)
  testJourney(system)

  it('rejects a logout without the latest ID token of the session, as its page warns', async () => {
    const { users, issuer } = system.provider
    const page = await system.newPage()
    await system.logIn(page, users.both)
    const bare = await page.context().request.get(`${issuer}/connect/logout?client_id=web-ui`)
    expect(bare.status()).toBe(400)

    const tokens = await system.tokens(users.both)
    const renewed = await system.refreshed(tokens.refresh_token ?? '')
    const returnUrl = `${system.urls.webUi}/`
    /** Returns where it leads a browser without a session, which it would ask to log in for a page with status 400. */
    const logOut = async (id_token_hint: string) => {
      const query = new URLSearchParams({ id_token_hint, post_logout_redirect_uri: returnUrl })
      const response = await fetch(`${issuer}/connect/logout?${query}`, { redirect: 'manual' })
      return response.headers.get('location')
    }
    expect(await logOut(tokens.id_token)).toBe(`${issuer}/login`)
    expect(await logOut(renewed.id_token)).toBe(returnUrl)
  }, 60_000)
})

describeHere('a backend with Spring Authorization Server, whose audience is the client ID', () => {
  const system = useJourney(springWithoutApi)

  it('accepts the access tokens, and rejects ID tokens that no claim marks', async () => {
    const tokens = await system.tokens(system.provider.users.both)
    const renewed = await system.refreshed(tokens.refresh_token ?? '')
    const [header, claims] = renewed.id_token
      .split('.')
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>)
    expect(claims).toMatchObject({ aud: 'web-ui', sub: 'ada' })
    for (const mark of ['nonce', 'at_hash', 'typ']) expect(claims).not.toHaveProperty(mark)
    expect(header).not.toHaveProperty('typ')
    expect(await callBackend(system, renewed.access_token)).toEqual([200, ''])
    expect(await callBackend(system, renewed.id_token)).toEqual([401, 'invalid_token'])
    expect(await callBackend(system, tokens.id_token)).toEqual([401, 'invalid_token'])
  }, 60_000)
})
