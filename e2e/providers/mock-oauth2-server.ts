import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Provider, ProviderUser, Registration } from './provider.ts'
import { ProviderProcess, peersFolder } from './provider-process.ts'

export const mockOauth2ServerProgram = join(peersFolder, 'mock-oauth2-server/mock-oauth2-server')

const CLIENT_ID = 'web-ui'
const API = 'https://api.example.com'

/** What each user types into the login form: the claims of both tokens. */
const CLAIMS: Readonly<Record<string, object>> = {
  ada: { name: 'Ada Okafor', scope: 'openid profile read:data read:data2' },
  ben: { name: 'Ben Ruiz', scope: 'openid profile read:data' },
}
const users: Record<'both' | 'onlyData', ProviderUser> = {
  both: { login: 'ada', password: '', name: 'Ada Okafor' },
  onlyData: { login: 'ben', password: '', name: 'Ben Ruiz' },
}

const NO_SESSIONS = 'it has no sessions: each login shows its form'
const NO_BACK_CHANNEL = 'it sends no logout tokens'

/** As `docs/providers/mock-oauth2-server.md` recommends it: the claims come from the login form. */
export const mockOauth2Server: Provider = {
  name: 'mock-oauth2-server',
  lacks: {
    refresh: 'without token callbacks, its tokens are valid for an hour; the next provider has them',
    'key rotation': 'a new key needs a restart, which forgets its users; the next provider names them',
    sessions: NO_SESSIONS,
    'back-channel logout': NO_BACK_CHANNEL,
  },
  async start(registration) {
    return startServer(registration, {
      config: {},
      accessTokenSeconds: 3_600,
      backend: { AUDIENCE: 'default', TOKEN_USE: 'scoped' },
    })
  },
}

/** With token callbacks: short tokens, but the ID token has the audience and the claims of the access token. */
export const mockOauth2ServerWithCallbacks: Provider = {
  name: 'mock-oauth2-server with token callbacks',
  lacks: {
    'scopes per user': 'a token callback gives all users the same claims',
    'access tokens unlike ID tokens':
      'a token callback gives both tokens the same claims, their audience included',
    sessions: NO_SESSIONS,
    'back-channel logout': NO_BACK_CHANNEL,
  },
  async start(registration) {
    const accessTokenSeconds = 8
    return startServer(registration, {
      config: {
        tokenCallbacks: [
          {
            issuerId: 'default',
            tokenExpiry: accessTokenSeconds,
            requestMappings: [
              {
                requestParam: 'grant_type',
                match: '*',
                claims: { sub: 'ada', aud: [CLIENT_ID, API], azp: CLIENT_ID, ...CLAIMS.ada },
              },
            ],
          },
        ],
      },
      accessTokenSeconds,
      backend: { AUDIENCE: API, AUDIENCE_LIST: 'contains', TOKEN_USE: 'scoped' },
    })
  },
}

/** As the first, but the backends ask the server about each token. */
export const mockOauth2ServerWithIntrospection: Provider = {
  ...mockOauth2Server,
  name: 'mock-oauth2-server with introspection',
  async start(registration) {
    const folder = await mkdtemp(join(tmpdir(), 'hallpass-introspection-'))
    const secretFile = join(folder, 'secret')
    await writeFile(secretFile, 'any-because-it-checks-none', { mode: 0o600 })
    const running = await mockOauth2Server.start(registration)
    return {
      ...running,
      backend: {
        ...running.backend,
        TOKEN_VALIDATION: 'introspection',
        INTROSPECTION_CLIENT_ID: 'backend',
        INTROSPECTION_CLIENT_SECRET_FILE: secretFile,
      },
      async stop() {
        await running.stop()
        await rm(folder, { recursive: true })
      },
    }
  },
}

interface Variant {
  /** Members of `JSON_CONFIG`. */
  readonly config: object
  readonly accessTokenSeconds: number
  readonly backend: Readonly<Record<string, string>>
}

async function startServer(
  { publicPort, port }: Registration,
  { config, accessTokenSeconds, backend }: Variant,
) {
  // The server takes its issuer from the Host header of a request.
  const issuer = `http://localhost:${publicPort}/default`
  const server = new ProviderProcess(mockOauth2ServerProgram, [], `http://127.0.0.1:${port}/isalive`)
  const start = () =>
    server.start({
      SERVER_HOSTNAME: '127.0.0.1',
      SERVER_PORT: `${port}`,
      JSON_CONFIG: JSON.stringify({
        interactiveLogin: true,
        httpServer: 'NettyWrapper',
        tokenProvider: { keyProvider: { initialKeys: privateJwk(), algorithm: 'RS256' } },
        ...config,
      }),
    })
  await start()
  return {
    issuer,
    accessTokenSeconds,
    users,
    webUi: {
      ISSUER_BASE_URL: issuer,
      AUTH0_CLIENT_ID: CLIENT_ID,
      AUTH0_SECRET: 'any-because-it-checks-none',
      SCOPE: 'openid profile',
      LOGOUT_METHOD: 'get',
    },
    backend: { ISSUER: issuer, ...backend },
    async logIn(page: Page, { login }: ProviderUser) {
      await page.locator('input[name=username]').fill(login)
      await page.locator('textarea[name=claims]').fill(JSON.stringify(CLAIMS[login]))
      await page.getByRole('button', { name: 'Sign-in' }).click()
    },
    showsLogin: (page: Page) => page.getByRole('heading', { name: 'Mock OAuth2 Server Sign-in' }).waitFor(),
    /** The new key gets the kid of the old one, which is no longer published. */
    async rotateKeys() {
      await server.kill()
      await start()
    },
    stop: () => server.kill(),
  }
}

/** A key of our own: anyone can read the server's default keys in its jar. */
function privateJwk(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return JSON.stringify({ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' })
}
