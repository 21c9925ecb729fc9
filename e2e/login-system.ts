import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp as createBackend, loadConfig as loadBackend } from '@hallpass/backend-api/app'
import {
  createApp as createIdentityProvider,
  loadConfig as loadIdentityProvider,
} from '@hallpass/identity-provider/app'
import { type Clock, createLog, type Service, systemClock } from '@hallpass/service-kit'
import { createApp as createWebUi, loadConfig as loadWebUi } from '@hallpass/web-ui/app'
import { afterAll, beforeAll } from '@jest/globals'
import { freePorts } from '../scripts/free-ports.ts'

const ASSETS_FOLDER = join(import.meta.dirname, '../web-ui/public')
const AUDIENCE = 'https://webui'

type Env = Readonly<Record<string, string>>

export interface LoginSystemOptions {
  readonly webUi?: Env
  readonly identityProvider?: Env
  readonly clock?: Clock
}

/** The identity provider, both backends and the web UI, wired as `npm start` does, on ports of their own. */
export function useLoginSystem({
  webUi = {},
  identityProvider = {},
  clock = systemClock,
}: LoginSystemOptions = {}) {
  const running: Service[] = []
  const lines: string[] = []
  const urls = { webUi: '', identityProvider: '', backend: '', secondBackend: '' }
  let stateFolder = ''

  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-login-'))
    const ports = (await freePorts(4)) as [number, number, number, number]
    const names = ['webUi', 'identityProvider', 'backend', 'secondBackend'] as const
    names.forEach((name, index) => {
      urls[name] = `http://localhost:${ports[index]}`
    })
    const log = createLog('login-system', 'debug', { write: (line) => void lines.push(line) })
    const env = (name: (typeof names)[number], more: Env): Env => ({
      STATE_FOLDER: stateFolder,
      ASSETS_FOLDER,
      PORT: String(ports[names.indexOf(name)]),
      ...more,
    })
    const guard = { ISSUER: urls.identityProvider, AUDIENCE }
    running.push(
      createIdentityProvider(
        loadIdentityProvider(
          env('identityProvider', {
            ISSUER: urls.identityProvider,
            WEB_UI_URL: urls.webUi,
            ...identityProvider,
          }),
        ),
        log,
      ),
      createBackend(loadBackend(env('backend', { ...guard, REQUIRED_SCOPES: 'read:data' })), log),
      createBackend(
        loadBackend(env('secondBackend', { ...guard, ENDPOINT: '/data2', REQUIRED_SCOPES: 'read:data2' })),
        log,
      ),
      createWebUi(
        loadWebUi(
          env('webUi', {
            SHOULD_AUTHENTICATE: 'true',
            // These are the pages of a login; the explorer has a system of its own.
            EXPLORER: 'false',
            BASE_URL: urls.webUi,
            ISSUER_BASE_URL: urls.identityProvider,
            AUTH0_CLIENT_ID: 'web-ui',
            AUDIENCE,
            SCOPE: 'openid profile email offline_access read:data read:data2',
            BACKEND_SERVICE_URL: urls.backend,
            SECOND_BACKEND_SERVICE_URL: urls.secondBackend,
            ...webUi,
          }),
        ),
        log,
        clock,
      ),
    )
    await Promise.all(running.map((service) => service.start()))
  })

  afterAll(async () => {
    await Promise.all(running.map((service) => service.stop()))
    await rm(stateFolder, { recursive: true, force: true })
  })

  return {
    urls,
    /** For reading what the services have made there. */
    get stateFolder() {
      return stateFolder
    },
    /** Everything that all of them have logged. */
    logged: () => lines.join(''),
  }
}
