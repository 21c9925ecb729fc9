import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Provider, ProviderUser, Registration, RunningProvider } from './provider.ts'
import { ProviderProcess, peersFolder } from './provider-process.ts'

export const springProgram = join(peersFolder, 'spring-authorization-server.jar')

const CLIENT_ID = 'web-ui'
const API = 'https://api.example.com'
const ACCESS_TOKEN_SECONDS = 8
/** A small Java that starts fast: it serves a few users. */
const JAVA = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-jar', springProgram]

const users: RunningProvider['users'] = {
  both: { login: 'ada', password: 'ada', name: 'Ada Okafor' },
  onlyData: { login: 'ben', password: 'ben', name: 'Ben Ruiz' },
}

const lacks = {
  'back-channel logout': 'it sends no logout tokens',
  'parallel logins':
    'it remembers one login of a browser, so the login of the first tab continues that of the second',
}

/** The application in `spring`, as `docs/providers/spring-authorization-server.md` shows it. */
export const spring: Provider = {
  name: 'Spring Authorization Server',
  lacks,
  start: (registration) => startServer(registration, API),
}

/** Access tokens for the client itself, as Spring issues them if no customizer names an API. */
export const springWithoutApi: Provider = {
  name: 'Spring Authorization Server without an API',
  lacks,
  start: (registration) => startServer(registration, CLIENT_ID),
}

async function startServer(
  { publicPort, port, webUiUrl }: Registration,
  audience: string,
): Promise<RunningProvider> {
  const issuer = `http://localhost:${publicPort}`
  const secret = randomBytes(24).toString('base64url')
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-spring-'))
  const keysFile = join(folder, 'keys.json')
  const keys = [signingKey()]
  /** Replaces the file in one step, because the server reads it for each signature. */
  const publish = async () => {
    await writeFile(`${keysFile}.part`, JSON.stringify({ keys }), { mode: 0o600 })
    await rename(`${keysFile}.part`, keysFile)
  }
  await publish()
  const server = new ProviderProcess('java', JAVA, `http://127.0.0.1:${port}/oauth2/jwks`)
  await server.start({
    PORT: `${port}`,
    ISSUER: issuer,
    WEB_UI_URL: webUiUrl,
    CLIENT_SECRET: secret,
    ACCESS_TOKEN_LIFETIME: `${ACCESS_TOKEN_SECONDS}s`,
    API_AUDIENCE: audience,
    KEYS_FILE: keysFile,
  })
  return {
    issuer,
    accessTokenSeconds: ACCESS_TOKEN_SECONDS,
    users,
    webUi: {
      ISSUER_BASE_URL: issuer,
      AUTH0_CLIENT_ID: CLIENT_ID,
      AUTH0_SECRET: secret,
      SCOPE: 'openid profile email read:data read:data2',
    },
    backend: { ISSUER: issuer, AUDIENCE: audience },
    logIn: (page, user) => logIn(page, issuer, user),
    showsLogin: (page) => page.getByRole('heading', { name: 'Please sign in' }).waitFor(),
    async rotateKeys() {
      keys.unshift(signingKey())
      await publish()
    },
    async stop() {
      await server.kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Sends the login form, and consents to everything if this is the user's first login. */
async function logIn(page: Page, issuer: string, { login, password }: ProviderUser): Promise<void> {
  await page.locator('input[name=username]').fill(login)
  await page.locator('input[name=password]').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL((url) => url.origin !== issuer || url.pathname === '/oauth2/authorize')
  if (new URL(page.url()).origin !== issuer) return
  for (const scope of await page.getByRole('checkbox').all()) await scope.check()
  await page.getByRole('button', { name: 'Submit Consent' }).click()
}

const signingKey = () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const kid = randomBytes(8).toString('hex')
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }
}
