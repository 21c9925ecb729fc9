import { sign } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { createLog, type Service } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { type SigningKey, signToken } from '@hallpass/tokens'
import { presentClaims } from '@hallpass/tokens/testing'
import { afterAll, afterEach, beforeAll } from '@jest/globals'
import { createApp } from '../app.ts'
import { type ExampleKeys, ensureExampleKeys } from '../client/index.ts'
import { type Config, loadConfig } from '../config/index.ts'
import { FakeUpstream } from './fake-upstream.ts'
import {
  type Answer,
  type ClientRequest,
  type Connection,
  connectHttp1,
  connectHttp2,
  connectNarrow,
  type NarrowConnection,
} from './stream-client.ts'

const ISSUER = 'https://auth.example.com'
const AUDIENCE = 'https://api.example.com'
const ASSETS = ['../../public', '../../../web-ui/public']
  .map((folder) => join(import.meta.dirname, folder))
  .join()

export type Protocol = 'h2' | 'http/1.1'

/** The gateway of a test file, with its upstream, its keys and a clock that the tests advance. */
export class GatewayUnderTest {
  clock = new ManualClock()
  readonly upstream = new FakeUpstream()
  keys!: ExampleKeys
  ca = ''
  caFile = ''
  url = ''
  secondUrl = ''
  stateFolder = ''
  /** The log so far. */
  log = ''
  #services: Service[] = []
  readonly #connections: Connection[] = []
  /** Each test has its own store, which a gateway that it restarts finds again. */
  #test = 0

  async prepare(): Promise<void> {
    this.stateFolder = await mkdtemp(join(tmpdir(), 'sse-gateway-'))
    const { caFile } = await ensureDevelopmentCertificates(this.stateFolder)
    this.caFile = caFile
    this.ca = await readFile(caFile, 'utf8')
    this.keys = await ensureExampleKeys(join(this.stateFolder, 'sse'))
    await this.upstream.start()
  }

  /** Starts a gateway; several can run concurrently. `url` is the last one's. */
  async start(env: Readonly<Record<string, string>> = {}, config: Partial<Config> = {}): Promise<string> {
    const loaded = loadConfig({
      PORT: '0',
      SECOND_PORT: '0',
      STATE_FOLDER: this.stateFolder,
      STORE_FOLDER: join(this.stateFolder, `store-${this.#test}`),
      ASSETS_FOLDERS: ASSETS,
      UPSTREAM_URL: this.upstream.url,
      UPSTREAM_GRACE_SECONDS: '5',
      ...env,
    })
    const log = createLog('sse-gateway', 'debug', { write: (line) => (this.log += line) })
    const service = createApp(
      { ...loaded, quietMs: 150, certificatePollMs: 100, ...config },
      log,
      this.clock.now,
    )
    this.#services.push(service)
    const { https = '', second = '' } = await service.start()
    this.url = https
    this.secondUrl = second
    return https
  }

  async stop(): Promise<void> {
    this.upstream.forget()
    for (const connection of this.#connections.splice(0)) connection.close()
    await this.stopServices()
    this.#test += 1
    this.log = ''
  }

  /** Stops the gateways, but keeps the test's connections to them. */
  async stopServices(): Promise<void> {
    await Promise.all(this.#services.splice(0).map((service) => service.stop()))
  }

  async remove(): Promise<void> {
    await this.stop()
    await this.upstream.kill()
    await rm(this.stateFolder, { recursive: true, force: true })
  }

  /** Returns a token like the documented command's: by default for `example` and valid for 30 seconds. */
  token(
    claims: Readonly<Record<string, unknown>> = {},
    { lifetimeSeconds = 30, key = this.keys.rs256 as SigningKey } = {},
  ): Promise<string> {
    const all = { iss: ISSUER, aud: AUDIENCE, sub: 'example', scope: 'proxy:stream', ...claims }
    return signToken(presentClaims(all), key, { lifetimeSeconds, clock: this.clock.now })
  }

  /** Returns a token with exactly these claims besides those of the documented issuer, e.g. without `exp` or `iat`. */
  bareToken(claims: Readonly<Record<string, unknown>>): string {
    const input = [
      { alg: 'RS256', kid: 'example', typ: 'JWT' },
      { iss: ISSUER, aud: AUDIENCE, scope: 'proxy:stream', ...claims },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    return `${input}.${sign('sha256', Buffer.from(input), this.keys.rs256.privateKey).toString('base64url')}`
  }

  async connect(protocol: Protocol = 'h2', url = this.url): Promise<Connection> {
    const connection = protocol === 'h2' ? await connectHttp2(url, this.ca) : connectHttp1(url, this.ca)
    this.#connections.push(connection)
    return connection
  }

  /** Connects as a client that does not read: its streams are sent nothing until it allows bytes. */
  async connectNarrow(): Promise<NarrowConnection> {
    const connection = await connectNarrow(this.url, this.ca)
    this.#connections.push(connection)
    return connection
  }

  /** Sends one request on a new connection. */
  async request(path: string, request: ClientRequest = {}, protocol: Protocol = 'h2'): Promise<Answer> {
    const connection = await this.connect(protocol)
    return connection.request(path, request)
  }

  async until(condition: () => boolean | Promise<boolean>, timeoutMs = 5_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`timed out waiting for ${condition}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  /** Opens a stream on a new connection. */
  async open(
    token: string,
    protocol: Protocol = 'h2',
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const answer = await this.request(
      '/events',
      { headers: { authorization: `Bearer ${token}`, ...headers } },
      protocol,
    )
    if (answer.status !== 200) throw new Error(`The stream was rejected: ${answer.status} ${answer.text}`)
    return answer
  }
}

/** Returns a gateway for the tests of a file, which start it; it is stopped after each test. */
export function useGateway(): GatewayUnderTest {
  const gateway = new GatewayUnderTest()
  beforeAll(() => gateway.prepare())
  afterEach(() => gateway.stop())
  afterAll(() => gateway.remove())
  return gateway
}
