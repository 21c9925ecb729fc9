import { describeWith } from '@hallpass/service-kit/testing'
import { expect, it } from '@jest/globals'
import { callBackend, testJourney } from './journey.ts'
import { useJourney } from './journey-system.ts'
import { spring, springProgram, springWithoutApi } from './spring.ts'

const describeHere = describeWith(springProgram, '.ci/install-peers providers')

describeHere('the web UI with Spring Authorization Server', () => {
  const system = useJourney(spring)
  testJourney(system)

  it('answers 400 to a logout without the latest ID token, as its page warns', async () => {
    const { refresh_token = '', id_token } = await system.tokens(system.provider.users.both)
    const renewed = await system.refreshed(refresh_token)
    const page = await system.newPage()
    await system.logIn(page, system.provider.users.both)
    const logOut = async (parameters: Readonly<Record<string, string>>) => {
      const url = `${system.provider.issuer}/connect/logout?${new URLSearchParams(parameters)}`
      const { request } = page.context()
      return (await request.get(url, { headers: { accept: 'text/html' }, maxRedirects: 0 })).status()
    }
    expect([
      await logOut({ client_id: 'web-ui' }),
      await logOut({ id_token_hint: id_token }),
      await logOut({ id_token_hint: renewed.id_token }),
    ]).toEqual([400, 400, 302])
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
