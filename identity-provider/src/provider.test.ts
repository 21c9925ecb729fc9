import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@hallpass/free-ports'
import { hiddenField, UserAgent, type Visit } from '@hallpass/pages/testing'
import { readOrCreatePrivateFile } from '@hallpass/private-files'
import { createLog } from '@hallpass/service-kit'
import { anySubject, parseCompact, parseJwks, staticKeys, verifyToken } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createApp, loadConfig } from './app.ts'

const AUDIENCE = 'https://webui'
const WEB_UI = 'http://localhost:4000'

describe('the OpenID provider', () => {
  const stateFolder = mkdtempSync(join(tmpdir(), 'hallpass-idp-'))
  const lines: string[] = []
  let issuer = ''
  let secret = ''
  let service: Awaited<ReturnType<typeof createApp>>
  let clientSecretFile = ''

  beforeAll(async () => {
    const [port] = await freePorts(1)
    issuer = `http://localhost:${port}`
    const config = loadConfig({
      PORT: String(port),
      ISSUER: issuer,
      WEB_UI_URL: WEB_UI,
      STATE_FOLDER: stateFolder,
      ASSETS_FOLDER: 'web-ui/public',
    })
    clientSecretFile = config.clientSecretFile
    service = await createApp(config, createLog('idp', 'debug', { write: (line) => void lines.push(line) }))
    await service.start()
    secret = await readOrCreatePrivateFile(clientSecretFile, () => 'not made by the provider')
  })
  afterAll(() => service.stop())

  const verifier = randomBytes(32).toString('base64url')
  const request = (changes: Record<string, string | undefined> = {}) => {
    const parameters: Record<string, string | undefined> = {
      client_id: 'web-ui',
      response_type: 'code',
      redirect_uri: `${WEB_UI}/callback`,
      scope: 'openid profile email offline_access read:data read:data2',
      resource: AUDIENCE,
      state: 'state-1',
      nonce: 'nonce-1',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...changes,
    }
    const given = Object.entries(parameters).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    )
    return `${issuer}/auth?${new URLSearchParams(given)}`
  }

  /** Follows the login until the provider redirects to the web UI, and returns that URL. */
  async function authorize(agent: UserAgent, user: string, changes = {}): Promise<URL> {
    let visit = await agent.step('GET', request(changes))
    while (visit.headers.has('location')) {
      const next = new URL(visit.headers.get('location') as string, issuer)
      if (next.origin === WEB_UI) return next
      visit = await agent.step('GET', next.href)
      // A different user: the provider ends the previous session with a form that submits itself.
      if (visit.body.includes('/session/end/confirm'))
        visit = await agent.step(
          'POST',
          `${issuer}/session/end/confirm`,
          { 'content-type': 'application/x-www-form-urlencoded' },
          `logout=yes&xsrf=${hiddenField(visit.body, 'xsrf')}`,
        )
      if (visit.body.includes('Choose a user'))
        visit = await agent.step(
          'POST',
          `${visit.url}/sign-in`,
          { 'content-type': 'application/x-www-form-urlencoded' },
          `user=${user}`,
        )
    }
    throw new Error(`The provider did not send the browser back: ${visit.status} ${visit.body}`)
  }

  async function tokenRequest(fields: Record<string, string>, password = secret) {
    const answer = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`web-ui:${password}`).toString('base64')}` },
      body: new URLSearchParams(fields),
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, string> }
  }

  const redeem = (code: string, changes: Record<string, string> = {}, password = secret) =>
    tokenRequest(
      {
        grant_type: 'authorization_code',
        code,
        redirect_uri: `${WEB_UI}/callback`,
        code_verifier: verifier,
        resource: AUDIENCE,
        ...changes,
      },
      password,
    )

  async function logIn(user: string, agent = new UserAgent()) {
    const back = await authorize(agent, user)
    return (await redeem(back.searchParams.get('code') as string)).body as {
      access_token: string
      id_token: string
      refresh_token: string
      scope: string
    }
  }

  const keys = async () => staticKeys(issuer, parseJwks(await (await fetch(`${issuer}/jwks`)).json()))

  it('returns iss and state to the registered redirect URI', async () => {
    const back = await authorize(new UserAgent(), 'ada')
    expect(back.origin + back.pathname).toBe(`${WEB_UI}/callback`)
    expect([back.searchParams.get('iss'), back.searchParams.get('state')]).toEqual([issuer, 'state-1'])
  })

  it('issues RFC 9068 access tokens for the API, with the user’s scopes', async () => {
    const { access_token } = await logIn('ada')
    const { header, claims } = await verifyToken(access_token, {
      issuer,
      audience: AUDIENCE,
      subject: 'ada',
      typ: ['at+jwt'],
      keys: await keys(),
      maxLifetimeSeconds: 120,
    })
    expect([header.alg, claims.client_id, claims.scope]).toEqual(['ES256', 'web-ui', 'read:data read:data2'])
    expect(parseCompact((await logIn('ben')).access_token).payload.scope).toBe('read:data')
    expect(parseCompact((await logIn('zoe')).access_token).payload.scope).toBeUndefined()
  })

  it('issues ID tokens with the user’s claims, for the client', async () => {
    const { id_token } = await logIn('zoe')
    const { header, claims } = await verifyToken(id_token, {
      issuer,
      audience: 'web-ui',
      subject: anySubject,
      typ: ['JWT'],
      keys: await keys(),
      maxLifetimeSeconds: 600,
    })
    expect(header.alg).toBe('RS256')
    expect(claims).toMatchObject({
      sub: 'zoe',
      name: 'Zoë Šimić',
      nickname: 'zoë',
      picture: `${issuer}/pictures/zoe.svg`,
      nonce: 'nonce-1',
    })
  })

  it.each([
    ['no challenge', { code_challenge: undefined, code_challenge_method: undefined }],
    ['a plain challenge', { code_challenge_method: 'plain', code_challenge: verifier }],
  ])('missing PKCE: rejects a login with %s', async (_what, changes) => {
    const back = await authorize(new UserAgent(), 'ada', changes)
    expect(back.searchParams.get('error')).toBe('invalid_request')
    expect(back.searchParams.has('code')).toBe(false)
  })

  it('missing PKCE: rejects a code without the code verifier of its login', async () => {
    const back = await authorize(new UserAgent(), 'ada')
    const code = back.searchParams.get('code') as string
    expect((await redeem(code, { code_verifier: randomBytes(32).toString('base64url') })).body).toMatchObject(
      {
        error: 'invalid_grant',
      },
    )
  })

  it.each([
    ['another URI', { redirect_uri: 'https://evil.example/callback' }],
    ['a URI below the registered one', { redirect_uri: `${WEB_UI}/callback/x` }],
    ['the registered URI with a query', { redirect_uri: `${WEB_UI}/callback?next=//evil.example` }],
    ['an unknown client', { client_id: 'mallory' }],
  ])('open redirect: shows an error page instead of redirecting for %s', async (_what, changes) => {
    const visit = await new UserAgent().visit(request(changes))
    expect([visit.status, visit.url.startsWith(issuer)]).toEqual([400, true])
    expect(visit.body).toContain('Request failed')
    expect(visit.headers.get('content-security-policy')).toContain("script-src 'none'")
  })

  it('issues no token for an unknown API', async () => {
    const back = await authorize(new UserAgent(), 'ada', { resource: 'https://elsewhere' })
    expect(back.searchParams.get('error')).toBe('invalid_target')
  })

  it('authenticates the client by its secret', async () => {
    const back = await authorize(new UserAgent(), 'ada')
    const answer = await redeem(back.searchParams.get('code') as string, {}, 'guessed')
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
  })

  it('rotates refresh tokens, and revokes the grant when an old one is reused', async () => {
    const { refresh_token } = await logIn('ada')
    const refresh = (token: string) =>
      tokenRequest({ grant_type: 'refresh_token', refresh_token: token, resource: AUDIENCE })
    const second = await refresh(refresh_token)
    expect(second.status).toBe(200)
    expect(second.body.refresh_token).not.toBe(refresh_token)
    expect(parseCompact(second.body.access_token as string).payload.aud).toBe(AUDIENCE)
    expect((await refresh(refresh_token)).body.error).toBe('invalid_grant')
    expect((await refresh(second.body.refresh_token as string)).body.error).toBe('invalid_grant')
  })

  it('asks neither twice nor for consent, whatever the client requests', async () => {
    const agent = new UserAgent()
    await authorize(agent, 'ada')
    for (const changes of [{}, { prompt: 'consent' }, { prompt: 'none' }]) {
      const back = await authorize(agent, 'nobody', changes)
      expect(back.searchParams.get('code')).toBeTruthy()
    }
  })

  it('asks again when the client requests it', async () => {
    const agent = new UserAgent()
    await authorize(agent, 'ada')
    const back = await authorize(agent, 'ben', { prompt: 'login' })
    const { id_token } = (await redeem(back.searchParams.get('code') as string)).body
    expect(parseCompact(id_token as string).payload.sub).toBe('ben')
  })

  describe('the login page', () => {
    const page = (): Promise<Visit> => new UserAgent().visit(request())

    it('shows the users and what they may call, without scripts', async () => {
      const { status, body, headers } = await page()
      expect(status).toBe(200)
      for (const text of [
        'Ada Okafor',
        'may call both backends',
        'Ben Ruiz',
        'Zoë Šimić',
        'may call no backend',
      ])
        expect(body).toContain(text)
      expect(headers.get('content-security-policy')).toContain(`form-action 'self' ${WEB_UI};`)
      expect(body).not.toContain('<script')
    })

    it('works only in the browser that started the login: another one gets an error page', async () => {
      const visit = await new UserAgent().visit((await page()).url)
      expect([visit.status, visit.body]).toEqual([400, expect.stringContaining('started in another browser')])
    })

    it('redirects back with access_denied on cancel and for unknown users', async () => {
      for (const [action, body] of [
        ['cancel', ''],
        ['sign-in', 'user=mallory'],
        ['sign-in', 'user[]=ada'],
      ] as const) {
        const agent = new UserAgent()
        const { url } = await agent.visit(request())
        let visit = await agent.step(
          'POST',
          `${url}/${action}`,
          { 'content-type': 'application/x-www-form-urlencoded' },
          body,
        )
        visit = await agent.step('GET', new URL(visit.headers.get('location') as string, issuer).href)
        const back = new URL(visit.headers.get('location') as string)
        expect([back.origin, back.searchParams.get('error')]).toEqual([WEB_UI, 'access_denied'])
      }
    })

    it('has a picture of each user', async () => {
      const picture = await fetch(`${issuer}/pictures/zoe.svg`)
      expect(picture.headers.get('content-type')).toBe('image/svg+xml; charset=utf-8')
      expect(await picture.text()).toContain('>ZŠ</text>')
      expect((await fetch(`${issuer}/pictures/mallory.svg`)).status).toBe(404)
    })
  })

  describe('the end of a session', () => {
    const endUrl = (fields: Record<string, string>) =>
      `${issuer}/session/end?${new URLSearchParams({ client_id: 'web-ui', post_logout_redirect_uri: `${WEB_UI}/`, ...fields })}`
    const end = async (agent: UserAgent, fields: Record<string, string> = {}) => {
      const { status, headers, body } = await agent.step('GET', endUrl(fields), { accept: 'text/html' })
      return [status, headers.get('location') ?? /<h1>(.*)<\/h1>/.exec(body)?.[1]]
    }
    const isKnown = async (agent: UserAgent) =>
      !(await authorize(agent, 'ben', { prompt: 'none' })).searchParams.has('error')

    it('needs no confirmation when the client sends the ID token of that session', async () => {
      const agent = new UserAgent()
      const { id_token } = await logIn('ada', agent)
      expect(await isKnown(agent)).toBe(true)
      const cookies = new Map(agent.cookies)
      expect(await end(agent, { id_token_hint: id_token })).toEqual([303, `${WEB_UI}/`])
      expect(await isKnown(agent)).toBe(false)
      // It has also ended for anyone who kept the cookie.
      expect(await isKnown(new UserAgent().with(cookies))).toBe(false)
    })

    it('needs confirmation without it, and with that of another session or user', async () => {
      const agent = new UserAgent()
      await logIn('ada', agent)
      const hints = [await logIn('ada'), await logIn('ben')].map(({ id_token }) => ({
        id_token_hint: id_token,
      }))
      for (const fields of [{}, ...hints])
        expect(await end(agent, fields)).toEqual([200, 'Log out everywhere?'])
      expect(await isKnown(agent)).toBe(true)
    })

    it('is rejected with a forged ID token, and the session continues', async () => {
      const agent = new UserAgent()
      const { id_token } = await logIn('ada', agent)
      const [header, , signature] = id_token.split('.')
      const forged = Buffer.from(JSON.stringify({ sub: 'ada', aud: 'web-ui' })).toString('base64url')
      expect(await end(agent, { id_token_hint: `${header}.${forged}.${signature}` })).toEqual([
        400,
        'Request failed',
      ])
      expect(await isKnown(agent)).toBe(true)
    })
  })

  it('logs no tokens, codes or secrets', async () => {
    const back = await authorize(new UserAgent(), 'ada')
    const code = back.searchParams.get('code') as string
    const { refresh_token } = (await redeem(code)).body
    const log = lines.join('')
    expect(log).toContain('/token')
    for (const value of ['eyJ', code, refresh_token as string, secret, verifier])
      expect(log).not.toContain(value)
  })
})
