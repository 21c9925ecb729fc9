import { dirname } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import request from 'supertest'
import { type Environment, startTestSuite, type TestSuite, withEnv } from '../../scripts/test-suite.ts'

const root = dirname(dirname(import.meta.dirname))

export const SCENARIO_SERVICES = ['jwt-factory', 'service-b', 'service-c', 'service-a'] as const
export type ScenarioService = (typeof SCENARIO_SERVICES)[number]

export interface ScenarioSuiteOptions {
  readonly only?: readonly ScenarioService[]
  /** Prepares the state folder before any service starts; answers with what a service must be told beyond the usual. */
  readonly prepare?: (stateFolder: string) => Promise<Partial<Record<ScenarioService, Environment>>>
  /** `false`: with an empty state folder. */
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
    if (!this.#suite) throw new Error('The services are used before they have started.')
    return this.#suite
  }

  get stateFolder(): string {
    return this.suite.stateFolder
  }

  /** Every line that any of them has logged. */
  get lines(): readonly string[] {
    return this.suite.lines
  }

  url(name: ScenarioService, listener = 'PORT'): string {
    return this.suite.url(name, listener)
  }

  get = (name: ScenarioService, path: string) => request(this.url(name)).get(path)
  post = (name: ScenarioService, path: string, body?: object) => request(this.url(name)).post(path).send(body)

  /** A token of the factory with any claims, as an open start gives it to anybody. */
  async issue(claims: object, keyId = 'servicea'): Promise<string> {
    return (await this.post('jwt-factory', `/issueToken/${keyId}`, claims).expect(200)).text
  }
}

/** The services for the tests of a `describe`. */
export function useScenarioSuite(options?: ScenarioSuiteOptions): ScenarioSuite {
  const services = new ScenarioSuite(options)
  beforeAll(() => services.start(), 60_000)
  afterAll(() => services.stop())
  return services
}
