import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, type HttpService } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { LmdbStore } from '@hallpass/token-store'
import { createApp } from '../app.ts'
import type { CacheFigures } from '../cache/cache-figures.ts'
import { loadConfig } from '../config.ts'
import { startIssuer, TEST_AUDIENCE, TEST_ISSUER, type TestIssuer } from './issuer.ts'

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

/** Two real proxies with one store, between an issuer and an API that tests control. */
export interface TestTier {
  readonly clock: ManualClock
  readonly issuer: TestIssuer
  readonly proxies: readonly { readonly url: string; readonly service: HttpService }[]
  /** The requests that reached the API. */
  readonly seen: SeenRequest[]
  readonly lines: string[]
  /** Answers requests at the API; by default with the token's payload. */
  answer: RequestListener | undefined
  readonly folder: string
  /** Sends a request as the balancer does. */
  get(proxy: number, user: string, init?: RequestInit & { path?: string; agent?: string }): Promise<Response>
  /** Returns the headers with which the balancer identifies the user. */
  headersOf(user: string): Readonly<Record<string, string>>
  /** Sends a request as an operator does. */
  operate(proxy: number, path: string, init?: RequestInit): Promise<Response>
  figures(proxy: number): Promise<CacheFigures>
  /** Stops a proxy and starts it again, or starts another one. */
  restart(proxy: number): Promise<void>
  stop(): Promise<void>
}

export interface TierOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly proxies?: number
  readonly clock?: ManualClock
  /** The free disk space for the embedded store. */
  readonly freeBytes?: () => number
}

export async function startTier({
  env = {},
  proxies: count = 2,
  clock = new ManualClock(wholeSecond()),
  freeBytes,
}: TierOptions = {}): Promise<TestTier> {
  const folder = await mkdtemp(join(tmpdir(), 'token-cache-'))
  const issuer = await startIssuer(clock.now)
  const seen: SeenRequest[] = []
  const lines: string[] = []
  const api = await listen((request, response) => {
    seen.push({ method: request.method as string, url: request.url as string, headers: request.headers })
    if (tier.answer) return tier.answer(request, response)
    const [, payload] = request.headers.authorization?.replace('Bearer ', '').split('.') ?? []
    response.setHeader('content-type', 'application/json')
    response.end(payload ? Buffer.from(payload, 'base64url') : '{}')
  })
  const config = (index: number) =>
    loadConfig({
      STATE_FOLDER: folder,
      PORT: '0',
      PROXY_NAME: `proxy${index + 1}`,
      AUTH_URL: issuer.url,
      JWT_FACTORY_URL: issuer.url,
      API_URL: api.url,
      ISSUER: TEST_ISSUER,
      AUDIENCE: TEST_AUDIENCE,
      ASSETS_FOLDER: join(import.meta.dirname, '../../public'),
      HOUSE_FOLDER: join(import.meta.dirname, '../../../../web-ui/public'),
      ...env,
    })
  const log = createLog('token-cache-proxy', 'debug', { write: (line) => void lines.push(line) })
  const proxies: { url: string; service: HttpService }[] = []
  async function startProxy(index: number) {
    const settings = config(index)
    const service = await (freeBytes
      ? createApp(
          settings,
          log,
          clock.now,
          (_config, _clock, onNotice) =>
            new LmdbStore({ folder: settings.store.storeFolder, clock: clock.now, onNotice, freeBytes }),
        )
      : createApp(settings, log, clock.now))
    const urls = await service.start()
    proxies[index] = { url: (urls.http ?? urls.https) as string, service }
  }
  for (let index = 0; index < count; index += 1) await startProxy(index)
  const secret = await readFile(join(folder, 'token-cache/tier-secret'), 'utf8').catch(() => randomUUID())

  const tier: TestTier = {
    clock,
    issuer,
    proxies,
    seen,
    lines,
    answer: undefined,
    folder,
    get: (proxy, user, { path = '/', agent = 'curl/7.86.0', ...init } = {}) =>
      fetch(`${proxies[proxy]?.url}${path}`, {
        ...init,
        headers: { ...tier.headersOf(user), 'user-agent': agent, ...init.headers },
      }),
    headersOf: (user) => ({ 'remote-user': user, 'x-hallpass-tier': secret.trim() }),
    operate: (proxy, path, init) => fetch(`${proxies[proxy]?.url}${path}`, init),
    async figures(proxy) {
      const status = (await (await tier.operate(proxy, '/status')).json()) as {
        peers: { name: string; figures: CacheFigures }[]
      }
      return status.peers.find(({ name }) => name === `proxy${proxy + 1}`)?.figures as CacheFigures
    },
    async restart(proxy) {
      await proxies[proxy]?.service.stop()
      await startProxy(proxy)
    },
    async stop() {
      await Promise.all(proxies.map(({ service }) => service.stop()))
      await issuer.stop()
      api.server.closeAllConnections()
      await new Promise((resolve) => api.server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
  return tier
}

/** Token times are in seconds, so the clock starts at a whole one to make expiry times predictable. */
const wholeSecond = () => Math.ceil(Date.now() / 1000) * 1000

async function listen(listener: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

/** Polls until a condition holds. */
export async function until(ask: () => Promise<boolean> | boolean, withinMs = 3_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`timed out after ${withinMs} ms waiting for ${ask}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
