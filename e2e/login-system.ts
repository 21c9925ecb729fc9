import { dirname } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import type { SuiteProcess } from '../scripts/suite-builder.ts'
import { startTestSuite, type TestSuite, withEnv } from '../scripts/test-suite.ts'
import { TestClock } from './test-clock.ts'

const root = dirname(import.meta.dirname)
const SERVICES = ['identity-provider', 'backend-api', 'second-backend-api', 'web-ui']

/**
 * The identity provider, both backends and the web UI, as `npm start` runs them.
 * @param more starts others beside them.
 */
export function useLoginSystem(
  more: (processes: readonly SuiteProcess[]) => Promise<readonly SuiteProcess[]> = async () => [],
) {
  let suite: TestSuite
  /** The web UI's clock goes with the provider's, which is the machine's, unless a test puts it forward. */
  const clock = new TestClock()

  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: SERVICES,
      tellHops: false,
      arrange: async (processes) => {
        // These are the pages of a login; the explorer has tests of its own.
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
    /** For reading what the services have made there. */
    get stateFolder() {
      return suite.stateFolder
    },
    /** Everything that all of them have logged. */
    logged: () => suite.lines.join('\n'),
  }
}
