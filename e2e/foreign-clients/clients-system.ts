import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { freePorts } from '@hallpass/free-ports'
import { ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { publishOverTcp } from '@hallpass/sse-server/client'
import { type SigningKey, signToken } from '@hallpass/tokens'
import { afterAll, beforeAll } from '@jest/globals'
import { stringify } from 'yaml'
import { ServiceProcess } from '../service-process.ts'
import { TestClock } from '../test-clock.ts'
import type { ClientEnvironment } from './client.ts'

const ISSUER = 'https://auth.example.com'
const AUDIENCE = 'https://api.example.com'
/** Each client has this long to answer its challenge, also on a busy machine. */
export const WINDOW_SECONDS = 60
export const LIFETIME_SECONDS = 600

/** The SSE server and a gateway in their own processes. Each client has a path of its own, by which the log tells its requests. */
class ClientsSystem {
  caFile = ''
  certificate = ''
  url = ''
  #key!: SigningKey
  #services: ServiceProcess[] = []
  #stateFolder = ''
  #publishUrl = ''
  readonly #clock = new TestClock()
  readonly #paths: readonly string[]

  /** @param clients how many */
  constructor(clients: number) {
    this.#paths = Array.from({ length: clients }, (_, index) => `/events-${index}`)
  }

  async start(): Promise<void> {
    const stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-clients-'))
    this.#stateFolder = stateFolder
    const { caFile, certFile } = await ensureDevelopmentCertificates(stateFolder)
    this.caFile = caFile
    this.certificate = await readFile(certFile, 'utf8')
    const { rs256, jwksFile } = await ensureExampleKeys(join(stateFolder, 'sse'))
    this.#key = rs256
    const [tcp, http, port, second] = (await freePorts(4)) as [number, number, number, number]
    this.url = `https://localhost:${port}`
    this.#publishUrl = `tcp://localhost:${tcp}`
    const config = join(stateFolder, 'gateway.yaml')
    const rule = {
      upstream: `http://localhost:${http}/events`,
      scopes: ['proxy:stream'],
      issuers: [{ issuer: ISSUER, audience: AUDIENCE, jwksFile }],
    }
    await writeFile(config, stringify({ paths: Object.fromEntries(this.#paths.map((path) => [path, rule])) }))
    const shared = { STATE_FOLDER: stateFolder }
    this.#services = [
      new ServiceProcess('sse-server', http, { ...shared, TCP_PORT: `${tcp}`, HTTP_PORT: `${http}` }),
      new ServiceProcess('sse-gateway', port, {
        ...shared,
        ...this.#clock.env,
        PORT: `${port}`,
        SECOND_PORT: `${second}`,
        GATEWAY_CONFIG: config,
        CHALLENGE_WINDOW_SECONDS: `${WINDOW_SECONDS}`,
        ASSETS_FOLDERS: join(import.meta.dirname, '../../sse-gateway/public'),
      }),
    ]
    await Promise.all(this.#services.map((service) => service.start()))
  }

  async stop(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.kill()))
    this.#clock.remove()
    await rm(this.#stateFolder, { recursive: true, force: true })
  }

  /** The second token, with which a client answers, is valid for twice as long as the one that opens its stream. */
  async environmentOf(client: number): Promise<ClientEnvironment> {
    const path = this.url + this.#paths[client]
    return {
      STREAM_URL: `${path}?access_token=${await this.#token(client, LIFETIME_SECONDS)}&handle=1`,
      ANSWER_URL: path,
      ANSWER_TOKEN: await this.#token(client, 2 * LIFETIME_SECONDS),
      CA_FILE: this.caFile,
    }
  }

  /** Returns how many streams of a client have ended. An open stream is not logged yet. */
  endedStreams(client: number): number {
    return this.#requests(client, 200)
  }

  /** Returns how many of a client's requests were rejected because its token had expired. */
  rejections(client: number): number {
    return this.#requests(client, 401)
  }

  /** Advances the clock of the gateway and of the tokens. */
  advance(seconds: number): void {
    this.#clock.advance(seconds)
  }

  publish(events: readonly object[]): Promise<void> {
    return publishOverTcp({
      url: this.#publishUrl,
      objects: events.map((event) => JSON.stringify(event)).join('\n'),
    })
  }

  #requests(client: number, status: number): number {
    const path = `"path":"${this.#paths[client]}"`
    const fields = ['"method":"GET"', path, `"status":${status}`]
    const lines = (this.#services[1]?.log ?? '').split('\n')
    return lines.filter((line) => fields.every((field) => line.includes(field))).length
  }

  #token(client: number, lifetimeSeconds: number): Promise<string> {
    const claims = { iss: ISSUER, aud: AUDIENCE, sub: `client-${client}`, scope: 'proxy:stream' }
    return signToken(claims, this.#key, { lifetimeSeconds, clock: this.#clock.now })
  }
}

/** Starts the services for the tests of a file. @param clients how many clients it has */
export function useClientsSystem(clients: number): ClientsSystem {
  const system = new ClientsSystem(clients)
  beforeAll(() => system.start(), 30_000)
  afterAll(() => system.stop())
  return system
}
