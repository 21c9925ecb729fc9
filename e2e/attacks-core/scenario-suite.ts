import { dirname } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import request from 'supertest'
import { type Environment, startTestSuite, type TestSuite, withEnv } from '../../scripts/test-suite.ts'

const root = dirname(dirname(import.meta.dirname))

export const SCENARIO_SERVICES = ['jwt-factory', 'service-b', 'service-c', 'service-a'] as const
export type ScenarioService = (typeof SCENARIO_SERVICES)[number]

export interface ScenarioSuiteOptions {
  readonly only?: readonly ScenarioService[]
  /** Prepares the state folder before any service starts. Returns additional variables of services. */
  readonly prepare?: (stateFolder: string) => Promise<Partial<Record<ScenarioService, Environment>>>
  /** `false`: start with an empty state folder. */
  readonly keys?: boolean
}

/** The four services of scenarios 1 to 4, as `npm start` runs them. */
export class ScenarioSuite {
  readonly #options: ScenarioSuiteOptions
  #suite: TestSuite | undefined

  constructor(options: ScenarioSuiteOptions = {}) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { only = SCENARIO_SERVICES, prepare = async () => ({}), keys = true } = this.#options
    this.#suite = await startTestSuite(root, {
      only,
      keys,
      arrange: async (processes, stateFolder) =>
        withEnv(processes, (await prepare(stateFolder)) as Record<string, Environment>),
    })
  }

  stop = async () => this.#suite?.stop()

  get suite(): TestSuite {
    if (!this.#suite) throw new Error('The services have not started yet.')
    return this.#suite
  }

  get stateFolder(): string {
    return this.suite.stateFolder
  }

  /** Returns the log lines of all services. */
  get lines(): readonly string[] {
    return this.suite.lines
  }

  url(name: ScenarioService, listener = 'PORT'): string {
    return this.suite.url(name, listener)
  }

  get = (name: ScenarioService, path: string) => request(this.url(name)).get(path)
  post = (name: ScenarioService, path: string, body?: object) => request(this.url(name)).post(path).send(body)

  /** Returns a token of the factory with any claims, as any caller gets in development mode. */
  async issue(claims: object, keyId = 'servicea'): Promise<string> {
    return (await this.post('jwt-factory', `/issueToken/${keyId}`, claims).expect(200)).text
  }
}

/** Starts the services for the tests of a `describe`. */
export function useScenarioSuite(options?: ScenarioSuiteOptions): ScenarioSuite {
  const services = new ScenarioSuite(options)
  beforeAll(() => services.start(), 60_000)
  afterAll(() => services.stop())
  return services
}
