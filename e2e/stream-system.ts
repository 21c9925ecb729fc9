import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type ExampleKeys, ensureExampleKeys } from '@hallpass/sse-gateway/client'
import { publishOverTcp } from '@hallpass/sse-server/client'
import { signToken } from '@hallpass/tokens'
import { presentClaims } from '@hallpass/tokens/testing'
import type { SuiteProcess } from '../scripts/suite-builder.ts'
import { another, type Environment, startTestSuite, type TestSuite, withEnv } from '../scripts/test-suite.ts'
import type { ClientOptions } from './stream-clients.ts'
import { TestClock } from './test-clock.ts'

const root = dirname(import.meta.dirname)
const SECOND = 'second-sse-gateway'

/** The documented values: tokens expire after 30 seconds, with a challenge 10 seconds before. */
export const LIFETIME_SECONDS = 30
export const WINDOW_SECONDS = 10

export interface StreamSystemOptions {
  /** Variables for the SSE server and the gateways. */
  readonly env?: Environment
  readonly gateways?: 1 | 2
  /** Variables of a gateway with topics, through which clients publish. */
  readonly topics?: Environment
}

/** The SSE server and its gateways, as `npm start` runs them, with a clock that tests can advance. */
export class StreamSystem {
  keys!: ExampleKeys
  ca = ''
  caFile = ''
  certificate = ''
  #suite!: TestSuite
  readonly #clock = new TestClock()
  readonly #options: StreamSystemOptions

  constructor(options: StreamSystemOptions = {}) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { env = {}, gateways = 1, topics } = this.#options
    this.#suite = await startTestSuite(root, {
      only: ['sse-server', 'sse-gateway'],
      env: { CHALLENGE_WINDOW_SECONDS: `${WINDOW_SECONDS}`, ...env },
      arrange: async (processes) => {
        const url = (processes.find(({ name }) => name === 'sse-server') as SuiteProcess).urls.HTTP_PORT
        const publishing = topics && { ...topics, PUBLISH_URL: `${url}/publish` }
        const clocked = withEnv(processes, { 'sse-gateway': { ...this.#clock.env, ...publishing } })
        const gateway = clocked.find(({ name }) => name === 'sse-gateway') as SuiteProcess
        return gateways === 1 ? clocked : [...clocked, await another(gateway, SECOND)]
      },
    })
    const { stateFolder } = this.#suite
    this.keys = await ensureExampleKeys(join(stateFolder, 'sse'))
    this.caFile = join(stateFolder, 'certificates/ca.pem')
    this.ca = await readFile(this.caFile, 'utf8')
    this.certificate = await readFile(join(stateFolder, 'certificates/localhost.pem'), 'utf8')
  }

  /** The URL of each gateway. */
  get urls(): readonly string[] {
    const names = this.#suite.processes.map(({ name }) => name)
    return names.filter((name) => name.endsWith('sse-gateway')).map((name) => this.#suite.url(name))
  }

  /** The URL of the only gateway. */
  get url(): string {
    return this.urls[0] as string
  }

  get log(): string {
    return this.#suite.lines.join('\n')
  }

  restartServer(): Promise<void> {
    return this.#suite.launcher.restart('sse-server', async () => {})
  }

  async stop(): Promise<void> {
    await this.#suite?.stop()
    this.#clock.remove()
  }

  /** Publishes like the documented `nc` command. */
  publish(event: object): Promise<void> {
    return publishOverTcp({ url: this.#suite.url('sse-server', 'TCP_PORT'), objects: JSON.stringify(event) })
  }

  /** Advances the clock of the gateways and of their tokens. */
  advance(seconds: number): void {
    this.#clock.advance(seconds)
  }

  token(claims: object = {}, lifetimeSeconds = LIFETIME_SECONDS): Promise<string> {
    const all = {
      iss: 'https://auth.example.com',
      aud: 'https://api.example.com',
      sub: 'example',
      scope: 'proxy:stream',
      ...claims,
    }
    return signToken(presentClaims(all), this.keys.rs256, { lifetimeSeconds, clock: this.#clock.now })
  }
}

export async function until(condition: () => boolean, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('The expected state was not reached in time.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const optionsFor = (system: StreamSystem, token: string, url = system.url): ClientOptions => ({
  url: `${url}/events?access_token=${token}&handle=1`,
  ca: system.ca,
  caFile: system.caFile,
})
