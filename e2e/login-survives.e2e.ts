import { dirname } from 'node:path'
import { UserAgent } from '@hallpass/pages/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Launcher } from '../scripts/launcher.ts'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { hallpass } from './installed-cli.ts'

const root = dirname(import.meta.dirname)
const SERVICES = ['identity-provider', 'backend-api', 'second-backend-api', 'web-ui']

describe('a login', () => {
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root, { only: SERVICES, tellHops: false })
  }, 60_000)
  let restarted: Launcher | undefined
  afterAll(async () => {
    await restarted?.stop('SIGKILL')
    await suite?.stop()
  })

  const webUi = () => suite.url('web-ui')
  const service = (...args: string[]) => hallpass(['service', ...args], { STATE_FOLDER: suite.stateFolder })

  async function logIn(agent: UserAgent) {
    const page = await agent.visit(`${webUi()}/login`)
    return page.body.includes('Choose a user') ? agent.submit(`${page.url}/sign-in`, { user: 'ada' }) : page
  }

  it('outlives a restart of web UI and identity provider: the page, the token for the backends, and the provider', async () => {
    const agent = new UserAgent()
    expect((await logIn(agent)).body).toContain('Hello, Ada Okafor')
    for (const name of ['web-ui', 'identity-provider'])
      expect((await service('restart', name)).out).toBe(`restarted ${name}`)
    const { body } = await agent.visit(`${webUi()}/`)
    expect(body).toContain('Hello, Ada Okafor')
    expect(body.match(/class="status">200</g)).toHaveLength(2)
    // The provider does not ask again either: a browser without the web UI's cookie gets a new session there.
    agent.cookies.delete('__Host-webui-session')
    const again = await agent.visit(`${webUi()}/login`)
    expect([again.url, again.body.includes('Hello, Ada Okafor')]).toEqual([`${webUi()}/`, true])
  }, 60_000)

  it('outlives a kill of the whole suite', async () => {
    const agent = new UserAgent()
    await logIn(agent)
    const { stateFolder, processes } = suite
    await suite.launcher.stop('SIGKILL')
    restarted = new Launcher({ root, stateFolder, env: {}, onLine: () => {} })
    await restarted.start(processes)
    const { body } = await agent.visit(`${webUi()}/`)
    expect(body).toContain('Hello, Ada Okafor')
    expect(body.match(/class="status">200</g)).toHaveLength(2)
  }, 60_000)
})
