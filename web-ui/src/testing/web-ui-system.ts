import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp as createBackend, loadConfig as loadBackend } from '@hallpass/backend-api/app'
import { freePorts } from '@hallpass/free-ports'
import { hiddenField, UserAgent } from '@hallpass/pages/testing'
import { createLog, type Service, silentLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { afterAll, afterEach, beforeAll } from '@jest/globals'
import { createApp, loadConfig } from '../app.ts'
import { type FakeProvider, fakeProvider } from './fake-provider.ts'

const ASSETS_FOLDER = join(import.meta.dirname, '../../public')

/** Starts the web UI with a configurable provider and two backends without access control, for the tests of a `describe`. */
export function useWebUi(env: Record<string, string> = {}) {
  // Moves only when a test advances it. Starts at the current time, because the provider's tokens do.
  const clock = new ManualClock(Date.now())
  const lines: string[] = []
  const running: Service[] = []
  const system = { url: '', provider: undefined as unknown as FakeProvider }
  let stateFolder = ''

  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-web-ui-'))
    const [port, providerPort] = (await freePorts(2)) as [number, number]
    system.url = `http://localhost:${port}`
    system.provider = await fakeProvider({ port: providerPort, clock: clock.now })
    const backends = ['/data', '/data2'].map((endpoint) =>
      createBackend(loadBackend({ PORT: '0', ACCESS: 'open', ENDPOINT: endpoint }), silentLog),
    )
    const [first, second] = (await Promise.all(backends.map((backend) => backend.start()))) as [
      { http: string },
      { http: string },
    ]
    const log = createLog('web-ui', 'debug', { write: (line) => void lines.push(line) })
    const webUi = await createApp(
      loadConfig({
        STATE_FOLDER: stateFolder,
        ASSETS_FOLDER,
        PORT: String(port),
        BASE_URL: system.url,
        SHOULD_AUTHENTICATE: 'true',
        ISSUER_BASE_URL: system.provider.state.issuer,
        AUTH0_CLIENT_ID: 'web-ui',
        AUDIENCE: 'https://webui',
        RESOURCE: 'https://webui',
        BACKEND_SERVICE_URL: first.http,
        SECOND_BACKEND_SERVICE_URL: second.http,
        ...env,
      }),
      log,
      clock.now,
    )
    running.push(system.provider, ...backends, webUi)
    await Promise.all([system.provider.start(), webUi.start()])
  })

  afterEach(() => {
    system.provider.state.tricks = {}
    system.provider.state.cutFrozen()
  })

  afterAll(async () => {
    await Promise.all(running.map((service) => service.stop()))
    await rm(stateFolder, { recursive: true, force: true })
  })

  return {
    clock,
    get url() {
      return system.url
    },
    get provider() {
      return system.provider.state
    },
    logged: () => lines.join(''),
    stopProvider: () => system.provider.stop(),
    /** Returns a browser with a logged-in user. */
    async logIn(path = '/login', userAgent?: string): Promise<{ agent: UserAgent; formToken: string }> {
      const agent = new UserAgent()
      await agent.visit(system.url + path, userAgent === undefined ? {} : { 'user-agent': userAgent })
      const { body } = await agent.visit(`${system.url}/profile`)
      return { agent, formToken: hiddenField(body, 'form_token') }
    },
    /** Returns whether the browser's session exists. */
    async isLoggedIn(agent: UserAgent): Promise<boolean> {
      const { body } = await agent.visit(system.url)
      return body.includes('action="/logout"')
    },
  }
}
