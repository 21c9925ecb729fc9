import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@hallpass/free-ports'
import { afterAll, beforeAll } from '@jest/globals'
import type { Page } from 'playwright-core'
import { useBrowser } from '../browser.ts'
import { ServiceProcess } from '../service-process.ts'
import { Front } from './front.ts'
import type { Provider, ProviderUser, RunningProvider, Settings } from './provider.ts'

const root = join(import.meta.dirname, '../..')
/** A provider that is written in Java and starts on a busy machine. */
const START_TIMEOUT_MS = 120_000
const COMMON = { HOST: '127.0.0.1', LOG_LEVEL: 'info', DRAIN_DELAY_MS: '0' }

/** The tokens of a login, as another client with the web UI's credentials gets them. */
export interface IssuedTokens {
  readonly access_token: string
  readonly id_token: string
  readonly refresh_token?: string
}

/**
 * Starts a provider, the web UI, and both backends for the tests of a `describe`, from their bundles and with the documented
 * settings.
 */
export function useJourney(provider: Provider) {
  const browser = useBrowser()
  let services: ServiceProcess[] = []
  let folder = ''
  let front: Front | undefined
  let running: RunningProvider | undefined
  let urls = { webUi: '', first: '', second: '' }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-provider-'))
    const [publicPort, port, ...own] = await freePorts(5)
    const [webUi, first, second] = own.map((one) => `http://localhost:${one}`)
    urls = { webUi, first, second } as typeof urls
    front = new Front(publicPort as number, port as number)
    await front.open()
    running = await provider.start({
      webUiUrl: urls.webUi,
      redirectUri: `${urls.webUi}/callback`,
      postLogoutRedirectUri: `${urls.webUi}/`,
      backChannelLogoutUri: `${urls.webUi}/backchannel-logout`,
      publicPort: publicPort as number,
      port: port as number,
    })
    await startServices()
  }, START_TIMEOUT_MS)

  async function startServices(webUi: Settings = {}): Promise<void> {
    await Promise.all(services.map((service) => service.kill()))
    const service = (name: string, url: string, env: Settings) => {
      const { port } = new URL(url)
      return new ServiceProcess(name, Number(port), { ...COMMON, PORT: port, STATE_FOLDER: folder, ...env })
    }
    const { backend, webUi: documented } = provided()
    services = [
      service('backend-api', urls.first, { ...backend, REQUIRED_SCOPES: 'read:data' }),
      service('backend-api', urls.second, {
        ...backend,
        ENDPOINT: '/data2',
        REQUIRED_SCOPES: 'read:data2',
      }),
      service('web-ui', urls.webUi, {
        SHOULD_AUTHENTICATE: 'true',
        EXPLORER: 'false',
        ASSETS_FOLDER: join(root, '.hallpass/bundles/web-ui-public'),
        BASE_URL: urls.webUi,
        BACKEND_SERVICE_URL: urls.first,
        SECOND_BACKEND_SERVICE_URL: urls.second,
        ...documented,
        ...webUi,
      }),
    ]
    await Promise.all(services.map((one) => one.start()))
  }

  afterAll(async () => {
    await Promise.all(services.map((service) => service.kill()))
    await running?.stop()
    await front?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const provided = (): RunningProvider => {
    if (!running) throw new Error('The provider has not started.')
    return running
  }

  return {
    definition: provider,
    get provider() {
      return provided()
    },
    get front() {
      return front as Front
    },
    get urls() {
      return urls
    },
    /**
     * Starts the web UI and both backends again, with other settings of the web UI. Also for tests that change keys twice
     * within 30 s, because services load a key set again only once in that time.
     */
    restartServices: startServices,
    /** Returns the logs of the services, for a message. */
    logged: () => services.map(({ log }) => log).join('\n'),
    /** Opens a page in a browser of its own, without cookies. */
    newPage: () => browser.newPage({}),
    /** Logs in at the web UI, and returns when its home page shows the user. */
    async logIn(page: Page, user: ProviderUser, path = '/login'): Promise<void> {
      await page.goto(urls.webUi + path)
      await provided().logIn(page, user)
      await page.waitForURL((url) => url.origin === urls.webUi)
      const loggedIn = page.getByRole('button', { name: 'Log out' })
      const heading = page.getByRole('heading', { level: 1 })
      await loggedIn.or(heading).first().waitFor()
      if ((await loggedIn.count()) === 0)
        throw new Error(
          `not logged in: ${await heading.innerText()}: ${await page.locator('.lede').innerText()}`,
        )
    },
    /**
     * Returns the tokens of a login with the web UI's client and parameters. The web UI shows none, and has no part in this
     * login: it rejects the code that the browser brings, because it has not started the login.
     */
    async tokens(user: ProviderUser): Promise<IssuedTokens> {
      const page = await browser.newPage({})
      const verifier = randomBytes(32).toString('base64url')
      const redirectUri = `${urls.webUi}/callback`
      const { AUDIENCE, RESOURCE, SCOPE, AUTH0_CLIENT_ID } = provided().webUi
      const { authorization_endpoint } = await discovered(provided().issuer)
      const url = new URL(authorization_endpoint)
      for (const [name, value] of Object.entries({
        response_type: 'code',
        client_id: AUTH0_CLIENT_ID,
        redirect_uri: redirectUri,
        scope: SCOPE,
        audience: AUDIENCE,
        resource: RESOURCE,
        state: 'state-of-the-test',
        nonce: randomBytes(16).toString('base64url'),
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
      }))
        if (value !== undefined) url.searchParams.set(name, value)
      const returned = page.waitForRequest((request) => request.url().startsWith(`${redirectUri}?`))
      await page.goto(url.href)
      await provided().logIn(page, user)
      const answer = new URL((await returned).url())
      const code = answer.searchParams.get('code')
      if (code === null) throw new Error(`${provided().issuer} sent no code: ${answer.search}`)
      await page.close()
      return redeem(provided(), {
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirectUri,
        code_verifier: verifier,
      })
    },
    refreshed: (refreshToken: string) =>
      redeem(provided(), { grant_type: 'refresh_token', refresh_token: refreshToken }),
  }
}

export type JourneySystem = ReturnType<typeof useJourney>

async function discovered(
  issuer: string,
): Promise<{ authorization_endpoint: string; token_endpoint: string }> {
  const response = await fetch(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  return (await response.json()) as { authorization_endpoint: string; token_endpoint: string }
}

/** Asks the token endpoint, as a client with a secret (RFC 6749 §2.3.1). */
async function redeem(
  provider: RunningProvider,
  grant: Readonly<Record<string, string>>,
): Promise<IssuedTokens> {
  const { AUTH0_CLIENT_ID: id = '', AUTH0_SECRET: secret = '', RESOURCE } = provider.webUi
  const { token_endpoint } = await discovered(provider.issuer)
  const response = await fetch(token_endpoint, {
    method: 'POST',
    headers: {
      authorization: `Basic ${btoa(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`)}`,
    },
    body: new URLSearchParams({ ...grant, ...(RESOURCE === undefined ? {} : { resource: RESOURCE }) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${token_endpoint} answered ${response.status}: ${text}`)
  return JSON.parse(text) as IssuedTokens
}
