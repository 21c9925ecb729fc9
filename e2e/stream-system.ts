import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog, type Service } from '@hallpass/service-kit'
import { createApp as createGateway, loadConfig as loadGateway } from '@hallpass/sse-gateway/app'
import { type ExampleKeys, ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { createApp as createSseServer, loadConfig as loadSseServer } from '@hallpass/sse-server/app'
import { publishOverTcp } from '@hallpass/sse-server/client'
import { signToken } from '@hallpass/tokens'
import { freePorts } from '../scripts/free-ports.ts'
import type { ClientOptions } from './stream-clients.ts'

export type Env = Readonly<Record<string, string>>

const ASSETS_FOLDERS = ['../sse-gateway/public', '../web-ui/public']
  .map((folder) => join(import.meta.dirname, folder))
  .join()

/** As documented: tokens of thirty seconds that are challenged ten before their end. */
export const LIFETIME_SECONDS = 30
export const WINDOW_SECONDS = 10
/** Clients of a test need not wait for each other. */
const CLIENTS_RETRY_MS = { min: 100, max: 300 }

/** The SSE server and the gateways that guard it, on ports of their own and on a clock that can be put forward. */
export class StreamSystem {
  readonly gateways: string[] = []
  keys!: ExampleKeys
  ca = ''
  caFile = ''
  certificate = ''
  log = ''
  #stateFolder = ''
  #ports: [tcp: number, http: number] = [0, 0]
  #server: Service | undefined
  readonly #services: Service[] = []
  #aheadMs = 0
  readonly #env: { readonly server: Env; readonly gateway: Env }

  constructor(env: { server?: Env; gateway?: Env }) {
    this.#env = { server: env.server ?? {}, gateway: env.gateway ?? {} }
  }

  async start(gateways: number): Promise<void> {
    this.#stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-streams-'))
    this.#ports = (await freePorts(2)) as [number, number]
    await this.startServer()
    for (let index = 0; index < gateways; index += 1) await this.#startGateway()
    this.keys = await ensureExampleKeys(join(this.#stateFolder, 'sse'))
    this.caFile = join(this.#stateFolder, 'certificates/ca.pem')
    this.ca = await readFile(this.caFile, 'utf8')
    this.certificate = await readFile(join(this.#stateFolder, 'certificates/localhost.pem'), 'utf8')
  }

  /** The gateway, where there is one. */
  get url(): string {
    return this.gateways[0] as string
  }

  async startServer(): Promise<void> {
    const [tcp, http] = this.#ports
    const env = {
      TCP_PORT: `${tcp}`,
      HTTP_PORT: `${http}`,
      STATE_FOLDER: this.#stateFolder,
      ...this.#env.server,
    }
    this.#server = createSseServer(loadSseServer(env), this.#logger('sse-server'))
    await this.#server.start()
  }

  async stopServer(): Promise<void> {
    await this.#server?.stop()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop()))
    await this.stopServer()
    await rm(this.#stateFolder, { recursive: true, force: true })
  }

  /** As the documented `nc` does. */
  publish(event: object): Promise<void> {
    return publishOverTcp({ url: `tcp://localhost:${this.#ports[0]}`, objects: JSON.stringify(event) })
  }

  /** The time of the gateways and of their tokens; it goes on by itself, too. */
  readonly clock = (): number => Date.now() + this.#aheadMs

  advance(seconds: number): void {
    this.#aheadMs += seconds * 1_000
  }

  token(claims: object = {}, lifetimeSeconds = LIFETIME_SECONDS): Promise<string> {
    const all = {
      iss: 'https://auth.example.com',
      aud: 'https://api.example.com',
      sub: 'example',
      scope: 'proxy:stream',
      ...claims,
    }
    return signToken(all, this.keys.rs256, { lifetimeSeconds, clock: this.clock })
  }

  async #startGateway() {
    const env = {
      PORT: '0',
      SECOND_PORT: '0',
      STATE_FOLDER: this.#stateFolder,
      UPSTREAM_URL: `http://localhost:${this.#ports[1]}/events`,
      ASSETS_FOLDERS,
      CHALLENGE_WINDOW_SECONDS: `${WINDOW_SECONDS}`,
      DEVELOPMENT_TOKEN_SECONDS: `${LIFETIME_SECONDS}`,
      ...this.#env.gateway,
    }
    const config = { ...loadGateway(env), retryMs: CLIENTS_RETRY_MS }
    const service = createGateway(config, this.#logger('sse-gateway'), this.clock)
    this.#services.push(service)
    this.gateways.push((await service.start()).https as string)
  }

  #logger(name: string) {
    return createLog(name, 'debug', {
      write: (line) => {
        this.log += line
      },
    })
  }
}

export async function until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('What was waited for has not come.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const optionsFor = (system: StreamSystem, token: string, url = system.url): ClientOptions => ({
  url: `${url}/events?access_token=${token}&handle=1`,
  ca: system.ca,
  caFile: system.caFile,
})
