import { dirname } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { takeScreenshots, useBrowser } from './browser.ts'

const root = dirname(import.meta.dirname)

describeWith('chromium', 'apt-get install chromium')('the explorer in a browser', () => {
  const browser = useBrowser()
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root)
  }, 60_000)
  afterAll(() => suite?.stop())

  async function openExplorer(query = ''): Promise<Page> {
    const page = await browser.newPage()
    page.setDefaultTimeout(15_000)
    await page.goto(`${suite.url('web-ui')}/explorer${query}`)
    await page.getByText(/Live: this stream’s token ends/).waitFor()
    return page
  }
  const outcomeOf = (page: Page, scenario: number) => page.locator(`[data-scenario="${scenario}"] .outcome`)

  /** Runs a scenario and answers with its trace id, once the picture shows a verdict. */
  async function run(page: Page, scenario: number, fault?: string): Promise<string> {
    const card = page.locator(`[data-scenario="${scenario}"]`)
    if (fault) await card.locator('select').selectOption(fault)
    else await card.getByRole('button', { name: 'Run' }).click()
    await outcomeOf(page, scenario)
      .filter({ hasText: /accepted|refused/ })
      .waitFor()
    return new URL(page.url()).searchParams.get('trace') as string
  }
  const verdicts = (page: Page) =>
    page
      .locator('.hop[data-kind="verification"]')
      .evaluateAll((hops) =>
        hops.map((hop) => `${hop.getAttribute('data-service')} ${hop.getAttribute('data-verdict')}`),
      )

  it.each([
    [1, undefined, 'accepted', 'jwt-factory accepted'],
    [2, undefined, 'accepted', 'jwt-factory accepted'],
    [3, undefined, 'accepted', 'service-b accepted'],
    [4, undefined, 'accepted', 'service-c accepted'],
    [1, 'expired', 'refused', 'jwt-factory refused'],
    [1, 'wrong-audience', 'refused', 'jwt-factory refused'],
    [1, 'wrong-key', 'refused', 'jwt-factory refused'],
    [1, 'tampered', 'refused', 'jwt-factory refused'],
    [3, 'expired', 'refused', 'service-b refused'],
    [3, 'wrong-audience', 'refused', 'service-b refused'],
    [3, 'wrong-key', 'refused', 'service-b refused'],
    [3, 'tampered', 'refused', 'service-b refused'],
  ] as const)(
    'draws scenario %d with %s: %s, where it was decided',
    async (scenario, fault, outcome, verdict) => {
      const page = await openExplorer()
      const trace = await run(page, scenario, fault)
      expect(await outcomeOf(page, scenario).innerText()).toContain(outcome)
      const [service] = verdict.split(' ')
      await page.locator(`.hop[data-service="${service}"][data-verdict="${outcome}"]`).first().waitFor()
      // What is drawn is what the services wrote into their own logs.
      const told = await page
        .locator('.hop[data-kind="call"]')
        .evaluateAll((hops) => hops.map((hop) => hop.getAttribute('data-service')))
      const logged = suite.lines.filter((line) => line.includes(trace)).map((line) => line.split(' ', 1)[0])
      for (const service of told) expect([...logged, 'web-ui']).toContain(service)
    },
    30_000,
  )

  it('says by which rule a token was refused, and never shows a signature', async () => {
    const page = await openExplorer()
    await run(page, 3, 'tampered')
    await page.locator('.hop[data-verdict="refused"]').click()
    const failed = page.locator('.checks tr.tone-bad')
    expect((await failed.innerText()).replace(/\s+/g, ' ')).toContain('signature ✗ failed RFC 7515 §5.2')
    expect(await page.content()).not.toContain('eyJ')
  }, 30_000)

  it('draws nothing where no token was shown, and says so', async () => {
    const page = await openExplorer()
    await run(page, 1, 'no-token')
    expect(await outcomeOf(page, 1).innerText()).toContain('refused')
    await page.locator('.picture pre', { hasText: 'no token provided' }).first().waitFor()
    expect(await verdicts(page)).toEqual([])
  }, 30_000)

  it('brings a run back after a reload, and by its link', async () => {
    const page = await openExplorer()
    const trace = await run(page, 2)
    await page.locator('.hop[data-kind="call"]').nth(4).waitFor()
    const before = await page.locator('.hop').count()
    await page.reload()
    await page
      .locator('.hop')
      .nth(before - 1)
      .waitFor()
    const other = await openExplorer(`?trace=${trace}`)
    await other
      .locator('.hop')
      .nth(before - 1)
      .waitFor()
  }, 30_000)

  it('says when the stream is away, still runs scenarios, and heals by itself', async () => {
    const page = await openExplorer()
    const gateway = suite.processes.filter(({ name }) => name === 'sse-gateway')
    await suite.launcher.restart(gateway[0]?.name as string, async () => {
      await page.getByText('The stream of hops is away').waitFor()
      await run(page, 1)
      expect(await outcomeOf(page, 1).innerText()).toContain('accepted')
    })
    await page.getByText(/Live: this stream’s token ends/).waitFor()
    await page.locator('.hop').first().waitFor()
  }, 60_000)

  it('is good to look at and to listen to', async () => {
    const page = await openExplorer()
    await run(page, 3, 'tampered')
    await page.locator('.hop[data-verdict="refused"]').waitFor()
    expect(await seriousFindings(page)).toEqual([])
    await takeScreenshots(page, 'explorer')
  }, 30_000)
})
