import { dirname } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import type { SuiteProcess } from '../scripts/suite-builder.ts'
import { startTestSuite, type TestSuite, withEnv } from '../scripts/test-suite.ts'
import { TestClock } from './test-clock.ts'

const root = dirname(import.meta.dirname)
const SERVICES = ['identity-provider', 'backend-api', 'second-backend-api', 'web-ui']

/**
 * Starts the identity provider, both backends and the web UI, as `npm start` does.
 * @param more returns further processes to start.
 */
export function useLoginSystem(
  more: (processes: readonly SuiteProcess[]) => Promise<readonly SuiteProcess[]> = async () => [],
) {
  let suite: TestSuite
  /** The web UI's clock, which tests can advance; the provider uses the machine's. */
  const clock = new TestClock()

  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: SERVICES,
      tellHops: false,
      arrange: async (processes) => {
        // The explorer has its own tests.
        const login = withEnv(processes, { 'web-ui': { ...clock.env, EXPLORER: 'false' } })
        return [...login, ...(await more(processes))]
      },
    })
  }, 60_000)
  afterAll(async () => {
    await suite?.stop()
    clock.remove()
  })

  return {
    clock,
    get urls() {
      return {
        webUi: suite.url('web-ui'),
        identityProvider: suite.url('identity-provider'),
      }
    },
    url: (service: string) => suite.url(service),
    /** Contains the keys of the services, among others. */
    get stateFolder() {
      return suite.stateFolder
    },
    /** Freezes a service: it accepts connections and answers nothing. @returns what lets it run again. */
    pause(service: string): () => void {
      const pid = suite.launcher.pid(service) as number
      process.kill(pid, 'SIGSTOP')
      return () => void process.kill(pid, 'SIGCONT')
    },
    /** Returns the logs of all services. */
    logged: () => suite.lines.join('\n'),
  }
}
