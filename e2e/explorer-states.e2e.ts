import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { useBrowser } from './browser.ts'
import { ExplorerPage } from './explorer-page.ts'

const root = dirname(import.meta.dirname)
const SERVICES = [
  'jwt-factory',
  'service-a',
  'service-b',
  'spiffe-agent',
  'sse-server',
  'sse-gateway',
  'web-ui',
  'token-cache-api',
  'token-cache-auth',
  'token-cache-proxy1',
  'token-cache-proxy2',
  'token-cache-load-balancer',
]

/** What the pages show if a service is slow, stopped or unknown, and after Back or a reload. */
describeWith('chromium', 'apt-get install chromium')('the explorer', () => {
  const browser = useBrowser()
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root, { only: SERVICES })
  }, 60_000)
  afterAll(() => suite?.stop())

  const open = async (query = '') => ExplorerPage.open(await browser.newPage(), suite, query)
  const heading = (page: Page) => page.locator('.picture-head h2')
  const verdict = (page: Page) => page.locator('.picture-head .status')
  const outcome = (page: Page, scenario: number) => page.locator(`[data-scenario="${scenario}"] .outcome`)

  /** Suspends a process, so that its connections stay open. */
  async function frozen(name: string, meanwhile: () => Promise<void>): Promise<void> {
    const pid = suite.launcher.pid(name) as number
    process.kill(pid, 'SIGSTOP')
    try {
      await meanwhile()
    } finally {
      process.kill(pid, 'SIGCONT')
    }
  }

  it('never shows the answer of an older run in place of a newer one', async () => {
    const { page } = await open()
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    // The first answer is held back until the second has arrived.
    let posts = 0
    await page.route('**/explorer/runs', async (route) => {
      if (route.request().method() !== 'POST' || ++posts > 1) return route.continue()
      const response = await route.fetch()
      await held
      await route.fulfill({ response })
    })
    const card = page.locator('[data-scenario="3"]')
    await card.getByRole('button').click()
    await card.getByRole('combobox').selectOption('wrong-key')
    await card.getByRole('button').click()
    await outcome(page, 3)
      .getByText(/^rejected after \d+ ms: the signature does not match$/)
      .waitFor()
    const older = page.waitForResponse((response) => response.request().postDataJSON()?.fault === undefined)
    release()
    await older
    const rows = page.locator('.runs a')
    await rows.last().locator('[aria-label="accepted"]').waitFor()
    expect(await outcome(page, 3).innerText()).toMatch(/^rejected/)
    expect(await outcome(page, 3).getAttribute('class')).toBe('outcome tone-bad')
    expect(await heading(page).innerText()).toBe('Scenario 3, wrong key')
    expect(await verdict(page).innerText()).toBe('rejected')
    // If another option is selected, the outcome names its own.
    await card.getByRole('combobox').selectOption('expired')
    expect(await outcome(page, 3).innerText()).toMatch(/^Wrong key: rejected after/)
  }, 30_000)

  it('moves between runs with Back and Forward, keeps them after a reload, and shows them in another tab', async () => {
    const explorer = await open()
    const { page } = explorer
    const first = await explorer.run(3, 'tampered')
    const second = await explorer.run(1, 'no-token')
    const address = () => Object.fromEntries(new URL(page.url()).searchParams)
    expect(address()).toEqual({ scenario: '1', fault: 'no-token', trace: second.trace })
    await page.goBack()
    await heading(page).getByText('Scenario 3, tampered payload').waitFor()
    expect(address()).toEqual({ scenario: '3', fault: 'tampered', trace: first.trace })
    await page.goBack()
    await page.locator('.preview').waitFor()
    expect(address()).toEqual({})
    await page.goForward()
    await heading(page).getByText('Scenario 3, tampered payload').waitFor()

    for (const again of [page, (await open(new URL(page.url()).search)).page]) {
      if (again === page) await page.reload()
      await heading(again).getByText('Scenario 3, tampered payload').waitFor()
      await verdict(again).getByText('rejected').waitFor()
      await again.locator('.picture-head .why').getByText('the signature does not match').waitFor()
      expect(await again.locator('[data-key="answer"]').innerText()).toContain('"valid": false')
      expect(await outcome(again, 3).innerText()).toMatch(/^rejected after/)
      expect(await again.getByLabel('Token for scenario 3').inputValue()).toBe('tampered')
      await again.getByText('Scenario 1, no token').waitFor()
    }
  }, 30_000)

  it('keeps the fault of scenario 7 after a reload, and copies a command with the same result', async () => {
    const explorer = await open()
    for (const fault of ['expired', 'wrong-audience', 'wrong-key', 'tampered', 'no-token']) {
      const { trace } = await explorer.run(7, fault)
      const { runs } = (await (await fetch(`${suite.url('web-ui')}/explorer/runs`)).json()) as {
        runs: { traceId: string; fault: string; result: { curl: string; answer: unknown } }[]
      }
      const { result, ...kept } = runs.find(({ traceId }) => traceId === trace) ?? runs[0] ?? {}
      expect(kept).toMatchObject({ traceId: trace, scenario: 7, fault })
      const { stdout } = await promisify(execFile)('bash', ['-c', result?.curl ?? ''], { cwd: root })
      expect(JSON.parse(stdout)).toEqual(result?.answer)
    }
    await explorer.page.reload()
    await explorer.page.getByRole('heading', { name: 'Scenario 7, no token' }).waitFor()
    expect(await explorer.page.locator('.runs').innerText()).toContain('Scenario 7, tampered payload')
  }, 60_000)

  it('titles runs from a terminal by their query, and never shows a 404 in green', async () => {
    const { page } = await open()
    for (const path of ['/scenario9', '/scenario1?expired=1&secret=hunter2'])
      await fetch(suite.url('service-a') + path, {
        headers: { traceparent: `00-${randomHex(16)}-${randomHex(8)}-01` },
      })
    const missing = page.locator('.runs a', { hasText: 'service-a /scenario9' })
    await missing.locator('.tone-warn[aria-label="failed"]').waitFor()
    const expired = page.locator('.runs a', { hasText: 'service-a /scenario1?expired=1' })
    await expired.locator('.tone-bad[aria-label="rejected"]').waitFor()
    expect(await page.content()).not.toContain('hunter2')
    await expired.click()
    await page.locator('.picture-head .why').getByText('the token has expired').waitFor()
  }, 20_000)

  it.each([
    ['a'.repeat(32), /^Unknown trace ID/, true],
    ['../etc', /^Invalid trace ID/, false],
  ])(
    'reports that the trace %s is unknown or invalid, and what to do',
    async (trace, words, hasRun) => {
      const { page } = await open(`?scenario=3&fault=tampered&trace=${encodeURIComponent(trace)}`)
      const missing = page.locator('.unknown-run')
      await missing.getByText(words).waitFor()
      await missing.getByText('Run a scenario, or choose a run from the list.').waitFor()
      expect(await seriousFindings(page)).toEqual([])
      if (!hasRun) return
      await missing.getByRole('button', { name: 'Run scenario 3, tampered payload' }).click()
      await verdict(page).getByText('rejected').waitFor()
    },
    30_000,
  )

  it('shows a stopped and a hanging service as a failure, not as a rejection', async () => {
    const explorer = await open()
    await suite.launcher.restart('service-b', async () => {
      const { outcome, why } = await explorer.run(3, 'wrong-key')
      expect([outcome, why]).toEqual(['failed', expect.stringContaining('serviceb at')])
    })
    expect(await verdict(explorer.page).getAttribute('class')).toBe('status tone-warn')
    await frozen('service-b', async () => {
      const { outcome, why } = await explorer.run(3)
      expect([outcome, why]).toEqual(['failed', expect.stringContaining('did not answer within')])
    })
    expect((await explorer.run(3)).outcome).toBe('accepted')
  }, 40_000)

  it.each([
    ['sse-gateway', 'the SSE gateway does not answer'],
    ['sse-server', 'the SSE server does not answer'],
    ['web-ui', 'the web UI does not answer'],
  ])(
    'is not live while %s hangs, and is live again after',
    async (name, words) => {
      const { page } = await open()
      const since = Date.now()
      await frozen(name, async () => {
        await page.locator('.stream-state', { hasText: `Reconnecting: ${words}` }).waitFor()
        expect(Date.now() - since).toBeLessThan(5_000)
      })
      await page.locator('.stream-view[data-state="live"]').waitFor()
    },
    30_000,
  )

  it('shows an interrupted stream as a failure', async () => {
    const { page } = await open()
    await page.locator('[data-scenario="7"]').getByRole('button').click()
    await page.locator('.hop[data-kind="event"]').first().waitFor()
    await suite.launcher.restart('sse-gateway', async () => {
      await outcome(page, 7)
        .getByText(/^failed after \d+ ms: /)
        .waitFor()
    })
  }, 30_000)

  it.each([
    ['keys', 'web-ui'],
    ['streams', 'sse-gateway'],
    ['token-cache', 'web-ui'],
    ['identities', 'spiffe-agent'],
  ])(
    'marks the data of %s as old while %s hangs',
    async (name, service) => {
      const page = await browser.newPage()
      await page.goto(`${suite.url('web-ui')}/${name}`)
      const state = page.locator('#state')
      await state.getByText(/^Live$/).waitFor()
      expect(await page.locator('#stale').isHidden()).toBe(true)
      await frozen(service, async () => {
        await state.getByText(/^Reconnecting: /).waitFor()
        await page
          .locator('#stale')
          .getByText(/^This data is \d+ s old\.$/)
          .waitFor()
        expect(await page.locator('#live').getAttribute('data-stale')).toBe('')
        expect(await seriousFindings(page)).toEqual([])
      })
      await state.getByText(/^Live$/).waitFor()
      expect(await page.locator('#live').getAttribute('data-stale')).toBeNull()
    },
    30_000,
  )

  it.each([
    ['keys', 'jwt-factory', /jwt-factory at .* did not answer within 1500 ms/, 'service-a'],
    ['token-cache', 'token-cache-proxy2', /token-cache-proxy2 at .* did not answer within 1500 ms/, 'proxy1'],
  ])(
    'keeps the rest of %s current while %s hangs',
    async (name, service, words, rest) => {
      const page = await browser.newPage()
      await page.goto(`${suite.url('web-ui')}/${name}`)
      await page
        .locator('#state')
        .getByText(/^Live$/)
        .waitFor()
      await frozen(service, async () => {
        await page.locator('#live').getByText(words).waitFor()
        await page.getByRole('heading', { name: rest }).waitFor()
        expect(await page.locator('#state').innerText()).toBe('Live')
      })
      await page.locator('#live').getByText(words).waitFor({ state: 'detached' })
    },
    30_000,
  )

  it('requires a valid user before it sends a request, and shows why an action failed', async () => {
    const page = await browser.newPage()
    await page.goto(`${suite.url('web-ui')}/token-cache`)
    const user = page.getByRole('textbox', { name: 'User' })
    const posted: string[] = []
    page.on('request', (request) => request.method() === 'POST' && posted.push(request.url()))
    for (const [typed, words] of [
      ['', 'Enter a user.'],
      ['  ', 'Enter a user.'],
      ['a b', 'A user has 1 to 128 visible ASCII characters and no spaces.'],
    ] as const)
      for (const button of [/^Send 10/, 'Block the user', 'Unblock the user']) {
        await user.fill(typed)
        await page.getByRole('button', { name: button, exact: typeof button === 'string' }).click()
        await page.getByRole('alert').getByText(words).waitFor()
        expect(await user.evaluate('document.activeElement.id')).toBe('user')
        expect(await user.getAttribute('aria-invalid')).toBe('true')
      }
    expect(posted).toEqual([])
    expect(await seriousFindings(page)).toEqual([])

    await user.fill('ada')
    await page.getByRole('button', { name: /^Send 10/ }).click()
    await page.getByText('10 requests as ada were answered: 10 × 200.').first().waitFor()
    await suite.launcher.restart('token-cache-load-balancer', async () => {
      posted.length = 0
      await page.getByRole('button', { name: /^Send 10/ }).click()
      const failure = page.locator('#acted.tone-bad', { hasText: 'token-cache-load-balancer' })
      await failure.waitFor()
      // The error stays visible while the view is redrawn each second, and the other nine requests are not sent.
      await page.waitForResponse((response) => response.url().endsWith('/live/token-cache'))
      await page.waitForResponse((response) => response.url().endsWith('/live/token-cache'))
      expect(await failure.isVisible()).toBe(true)
      expect(posted).toHaveLength(1)
    })
  }, 60_000)
})

const randomHex = (bytes: number) =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString('hex')
