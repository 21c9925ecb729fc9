import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as jwtFactory from '@hallpass/jwt-factory/app'
import * as serviceB from '@hallpass/service-b/app'
import * as serviceC from '@hallpass/service-c/app'
import {
  type Clock,
  type CommonConfig,
  createLog,
  type Environment,
  type Logger,
  type Service,
} from '@hallpass/service-kit'
import { afterAll, beforeAll } from '@jest/globals'
import request from 'supertest'
import * as serviceA from './app.ts'

type Name = 'jwt-factory' | 'service-a' | 'service-b' | 'service-c'
type Urls = Readonly<Record<string, string>>

export interface ScenarioOptions {
  readonly clock?: Clock
  /** Clocks of services whose clock is wrong. */
  readonly clockOf?: Partial<Record<Name, Clock>>
  /** Prepares the state folder before any service starts; returns additional variables for the services. */
  readonly prepare?: (stateFolder: string) => Promise<Partial<Record<Name, Environment>>>
}

/** The four services of scenarios 1 to 4, unmodified, on free ports and with their own state folder. */
export class ScenarioServices {
  /** All lines logged by any of them. */
  readonly lines: string[] = []
  stateFolder = ''
  readonly #options: ScenarioOptions
  readonly #running = new Map<Name, { readonly service: Service; readonly urls: Urls }>()
  #prepared: Partial<Record<Name, Environment>> = {}

  constructor(options: ScenarioOptions = {}) {
    this.#options = options
  }

  async start(): Promise<void> {
    this.stateFolder = await mkdtemp(join(tmpdir(), 'scenarios-'))
    this.#prepared = (await this.#options.prepare?.(this.stateFolder)) ?? {}
    await this.startOne('jwt-factory')
    await Promise.all([this.startOne('service-b'), this.startOne('service-c')])
    await this.startOne('service-a')
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.stopOne(name)))
    await rm(this.stateFolder, { recursive: true })
  }

  /** Starts a service; if it is restarted, on the same ports as before. */
  async startOne(name: Name): Promise<void> {
    const service = await this.#create(name)
    this.#running.set(name, { service, urls: await service.start() })
  }

  async stopOne(name: Name): Promise<void> {
    await this.#running.get(name)?.service.stop()
  }

  url(name: Name, listener = 'http'): string {
    const url = this.#running.get(name)?.urls[listener]
    if (url === undefined) throw new Error(`${name} has no listener named ${listener}`)
    return url
  }

  get = (name: Name, path: string) => request(this.url(name)).get(path)
  post = (name: Name, path: string, body?: object) => request(this.url(name)).post(path).send(body)

  /** Issues a token of the factory with any claims, as an open factory does for any caller. */
  async issue(claims: object, keyId = 'servicea'): Promise<string> {
    return (await this.post('jwt-factory', `/issueToken/${keyId}`, claims).expect(200)).text
  }

  #create(name: Name): Service | Promise<Service> {
    switch (name) {
      case 'jwt-factory':
        return this.#make(name, jwtFactory, {})
      case 'service-b':
        return this.#make(name, serviceB, { JWT_FACTORY_URL: this.url('jwt-factory') })
      case 'service-c':
        return this.#make(name, serviceC, { JWT_FACTORY_URL: this.url('jwt-factory') })
      case 'service-a':
        return this.#make(name, serviceA, {
          JWT_FACTORY_URL: this.url('jwt-factory'),
          SERVICE_B_URL: this.url('service-b'),
          SERVICE_B_TLS_URL: this.url('service-b', 'https'),
          SERVICE_C_URL: this.url('service-c'),
          SERVICE_C_TLS_URL: this.url('service-c', 'https'),
        })
    }
  }

  #make<C extends CommonConfig>(
    name: Name,
    from: { loadConfig(env: Environment): C; createApp: CreateService<C> },
    urls: Environment,
  ): Service | Promise<Service> {
    const { clock, clockOf } = this.#options
    const before = this.#running.get(name)?.urls
    const config = from.loadConfig({
      PORT: portOf(before?.http),
      HTTPS_PORT: portOf(before?.https),
      STATE_FOLDER: this.stateFolder,
      ...urls,
      ...this.#prepared[name],
    })
    const log = createLog(name, 'info', { write: (line) => void this.lines.push(line) })
    return from.createApp(config, log, clockOf?.[name] ?? clock)
  }
}

type CreateService<C> = (config: C, log: Logger, clock?: Clock) => Service | Promise<Service>

const portOf = (url: string | undefined) => (url === undefined ? '0' : new URL(url).port)

/** Starts the services for the tests of a `describe`, with the keys that the documented commands create. */
export function useScenarioServices(
  options: ScenarioOptions & { readonly keys?: false } = {},
): ScenarioServices {
  const services = new ScenarioServices(options)
  beforeAll(async () => {
    await services.start()
    if (options.keys === false) return
    await services.get('jwt-factory', '/keys/servicea').expect(200)
    await services.post('service-a', '/gen-keys').expect(200)
  })
  afterAll(() => services.stop())
  return services
}
