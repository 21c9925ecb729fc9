import http from 'node:http'
import { dirname } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { takeScreenshots, useBrowser } from './browser.ts'
import { type DrawnRun, ExplorerPage } from './explorer-page.ts'
import { RUNS } from './explorer-runs.ts'
import { VIEWS } from './explorer-views.ts'

const root = dirname(import.meta.dirname)

/** All services except those of the login, which web-ui.e2e.ts starts. */
const EVERYBODY = [
  'jwt-factory',
  'service-a',
  'service-b',
  'service-c',
  'spiffe-agent',
  'spiffe-server',
  'spiffe-proxy',
  'sse-server',
  'sse-gateway',
  'web-ui',
  'token-cache-api',
  'token-cache-auth',
  'token-cache-proxy1',
  'token-cache-proxy2',
  'token-cache-load-balancer',
]

describeWith('chromium', 'apt-get install chromium')('the explorer in a browser', () => {
  const browser = useBrowser()
  let suite: TestSuite
  /** The page that most tests share; each run has its own trace. */
  let explorer: ExplorerPage
  let page: Page
  /** A second page, reused because opening one takes a third of a second. */
  let other: Page
  /** Runs of {@link RUNS}, by scenario and fault. */
  const runs = new Map<string, Awaited<ReturnType<ExplorerPage['run']>>>()
  const nameOf = (scenario: number, fault = '') => `${scenario} ${fault}`.trim()
  let stream: Promise<{ explorer: ExplorerPage; before: string }>

  beforeAll(async () => {
    suite = await startTestSuite(root, { only: EVERYBODY })
    page = await browser.newPage()
    page.setDefaultTimeout(10_000)
    other = await browser.newPage()
    other.setDefaultTimeout(10_000)
    explorer = await ExplorerPage.open(page, suite)
    const scenarios = [...new Set(RUNS.map(([scenario]) => scenario))]
    await Promise.all(
      scenarios.map(async (scenario) => {
        for (const [number, fault] of RUNS)
          if (number === scenario) runs.set(nameOf(scenario, fault), await explorer.run(scenario, fault))
      }),
    )
    // The stream is open for five seconds, while the first tests check these runs.
    stream = watchStream(await browser.newPage())
    stream.catch(() => {})
  }, 60_000)
  afterAll(() => suite?.stop())

  /** Runs scenario 7 and reloads the page while it runs. */
  async function watchStream(own: Page) {
    const watched = await ExplorerPage.open(own, suite)
    await watched.page.locator('[data-scenario="7"]').getByRole('button').click()
    await watched.hop({ kind: 'event', path: 'challenge' }).first().waitFor()
    const before = await watched.page.locator('.picture-head .status').innerText()
    await watched.page.reload()
    await watched.hop({ kind: 'event', path: 'end' }).waitFor()
    return { explorer: watched, before }
  }

  it.each(RUNS)(
    'draws scenario %d with %s: %s, as logged by the services',
    async (scenario, fault, expected, verdicts, reason) => {
      const { trace, outcome, why } = runs.get(nameOf(scenario, fault)) as DrawnRun
      expect([outcome, why]).toEqual([expected, reason])
      await explorer.show(trace)
      await explorer.agreesWithLogs(suite, trace)
      expect(await explorer.verdicts()).toEqual([...verdicts].sort())
      // Each request is drawn as its caller's call; none is without a caller.
      expect(await explorer.hop({ kind: 'request' }).count()).toBe(0)
      const refusals = await explorer.hop({ kind: 'call', status: '401' }).count()
      expect(refusals > 0).toBe(outcome.startsWith('rejected'))
    },
  )

  it('offers no other faults', async () => {
    const offered = (await page.evaluate(
      `[...document.querySelectorAll('.scenario')].flatMap((card) =>
        [...card.querySelectorAll('option')]
          .filter(({ value }) => value)
          .map(({ value }) => card.dataset.scenario + ' ' + value))`,
    )) as string[]
    expect(offered.sort()).toEqual(
      RUNS.flatMap(([number, fault]) => (fault ? [nameOf(number, fault)] : [])).sort(),
    )
  })

  it('shows the rule and the source line of a rejection, and never a signature', async () => {
    await explorer.run(3, 'tampered')
    await page.locator('.hop[data-verdict="refused"][aria-expanded="true"]').waitFor()
    const failed = page.locator('.checks tr.tone-bad')
    expect((await failed.innerText()).replace(/\s+/g, ' ')).toContain('signature ✗ failed RFC 7515 §5.2')
    expect(await page.content()).not.toContain('eyJ')
    await other.goto(
      new URL((await failed.locator('a.mono').getAttribute('href')) as string, page.url()).href,
    )
    expect(await other.locator('li:target').innerText()).toContain(`fail('signature_invalid'`)
    const refused = await other.goto(`${suite.url('web-ui')}/source?file=package.json`)
    expect(refused?.status()).toBe(404)
  })

  it.each(['GET /live/keys', 'GET /explorer/hops', 'POST /explorer/runs'])(
    'rejects %s for another host name',
    async (route) => {
      const [method, path] = route.split(' ') as [string, string]
      const status = await new Promise((resolve, reject) => {
        const options = { method, headers: { host: 'rebound.example' } }
        http
          .request(new URL(path, suite.url('web-ui')), options, (response) => {
            response.destroy()
            resolve(response.statusCode)
          })
          .on('error', reject)
          .end()
      })
      expect(status).toBe(403)
    },
  )

  it('is the first page for a new visitor, one click from the home page', async () => {
    await other.goto(suite.url('web-ui'))
    expect(new URL(other.url()).pathname).toBe('/explorer')
    await other.getByRole('link', { name: 'Home' }).click()
    await other.getByRole('heading', { level: 1 }).waitFor()
    expect(await other.locator('.call').count()).toBe(2)
  })

  it('works with only a keyboard and a screen reader: runs, opens and closes a hop, copies the diagram', async () => {
    const permissions = ['clipboard-read', 'clipboard-write']
    const typist = (await ExplorerPage.open(await browser.newPage({ permissions }), suite)).page
    const { keyboard } = typist
    const focused = () => typist.evaluate(DESCRIBE_FOCUS) as Promise<Focus>
    /** Presses a key until the focus is at this element. Returns the names on the way; each focus must be visible. */
    const tabTo = async (name: RegExp, key = 'Tab') => {
      const way: string[] = []
      for (let steps = 0; steps < 40; steps += 1) {
        await keyboard.press(key)
        const focus = await focused()
        expect(focus).toMatchObject({ isVisible: true })
        way.push(focus.name)
        if (name.test(focus.name)) return way
      }
      throw new Error(`The focus did not reach ${name}: ${way.join(' | ')}`)
    }

    const way = await tabTo(/^Token for scenario 3/)
    // In reading order.
    expect(way.filter((name) => /^(Skip|Run|Token)/.test(name))).toEqual([
      'Skip to content',
      'Run scenario 1, Central signing',
      'Token for scenario 1',
      'Run scenario 2, Fan-out',
      'Token for scenario 2',
      'Run scenario 3, Self-signed over TLS',
      'Token for scenario 3',
    ])
    await keyboard.type('Tampered')
    await tabTo(/^Run scenario 3/, 'Shift+Tab')
    await keyboard.press('Enter')
    await typist
      .getByRole('status')
      .filter({ hasText: 'Scenario 3, tampered payload: rejected, the signature does not match.' })
      .waitFor()
    const opened = typist.locator('.hop[aria-expanded="true"]')
    await typist.locator('.hop[data-verdict="refused"][aria-expanded="true"]').waitFor()

    await tabTo(/^Copy as Mermaid/)
    await keyboard.press('Enter')
    await typist.getByRole('button', { name: 'Copied' }).waitFor()
    const mermaid = (await typist.evaluate('navigator.clipboard.readText()')) as string
    expect(mermaid.split('\n')[0]).toBe('sequenceDiagram')
    expect(mermaid).toContain('Note over service_b: rejected (signature_invalid)')

    // The diagram is one tab stop, at the open hop; arrow keys move between hops.
    await tabTo(/signature_inv/)
    await keyboard.press('Enter')
    await typist.getByText('Open a hop to see its token and its checks.').waitFor()
    expect(await opened.count()).toBe(0)
    await keyboard.press('ArrowUp')
    expect((await focused()).name).toContain('service-a calls service-b')
    await keyboard.press('Space')
    await typist.getByRole('heading', { name: /^service-a calls service-b/ }).waitFor()
    await tabTo(/^Close/)
    await keyboard.press('Escape')
    expect((await focused()).name).toContain('service-a calls service-b')
    expect(await opened.count()).toBe(0)
  })

  it('paints within a second from an empty cache, with few bytes', async () => {
    const paints: number[] = []
    let bytes = 0
    const debug = await other.context().newCDPSession(other)
    for (let round = 0; round < 3; round += 1) {
      await debug.send('Network.clearBrowserCache')
      await other.goto(`${suite.url('web-ui')}/explorer`)
      await other.getByRole('button', { name: 'Run scenario 7' }).waitFor()
      const seen = (await other.evaluate(MEASURE_LOADING)) as { paint: number; bytes: number }
      paints.push(seen.paint)
      bytes = seen.bytes
    }
    const paint = paints.sort((a, b) => a - b)[1] as number
    console.info(
      `the explorer: first contentful paint after ${Math.round(paint)} ms (median of 3), ${bytes} bytes`,
    )
    // An idle machine needs a quarter of this.
    expect(paint).toBeLessThan(1_000)
    expect(bytes).toBeLessThan(MOST_BYTES)
  })

  it('draws a running stream, loses nothing on a reload, and finds it by its link', async () => {
    const { explorer: watched, before } = await stream
    expect(before).toBe('running')
    const events = (await watched.hops()).filter(({ kind }) => kind === 'event').map(({ path }) => path)
    expect(events.filter((event) => event !== 'message')).toEqual(['challenge', 'challenge', 'end'])
    expect(events.filter((event) => event === 'message')).toHaveLength(2)
    expect(await watched.page.locator('.hop[data-path="end"]').textContent()).toContain('token_expired')
    const { search, searchParams } = new URL(watched.page.url())
    await watched.agreesWithLogs(suite, searchParams.get('trace') as string)
    expect(await watched.verdicts()).toEqual(['sse-gateway accepted', 'sse-gateway accepted'])
    const linked = await ExplorerPage.open(other, suite, search)
    await linked.hop({ kind: 'event', path: 'end' }).waitFor()
  })

  it.each([
    ['sse-gateway', /^Reconnecting: the SSE gateway does not answer/],
    ['sse-server', /^Reconnecting: the SSE server does not answer/],
  ])(
    'reports that %s is unavailable, still runs scenarios, and recovers automatically',
    async (name, words) => {
      const announced = page.getByRole('status').filter({ hasText: words })
      let trace = ''
      await suite.launcher.restart(name, async () => {
        await page.locator('.stream-state', { hasText: words }).waitFor()
        expect(await announced.count()).toBe(1)
        const run = explorer.run(1)
        // A page opened now shows the same.
        await other.goto(`${suite.url('web-ui')}/explorer`)
        await other.locator('.stream-state', { hasText: words }).waitFor()
        expect((await run).outcome).toBe('accepted')
        trace = (await run).trace
      })
      await page.getByText(/^Live: this stream’s token expires/).waitFor()
      // Hops reported meanwhile arrive late but complete.
      await explorer.agreesWithLogs(suite, trace)
      await explorer.run(3, 'expired')
      await explorer.hop({ verdict: 'refused' }).waitFor()
    },
    45_000,
  )

  it('reports that the web UI is unavailable, and recovers with it, under a key that is new to the gateway', async () => {
    await suite.launcher.restart('web-ui', () =>
      page
        .getByRole('status')
        .filter({ hasText: /^Reconnecting: the web UI does not answer/ })
        .waitFor(),
    )
    await page.getByText(/^Live: this stream’s token expires/).waitFor()
    expect((await explorer.run(3)).outcome).toBe('accepted')
    await explorer.hop({ verdict: 'accepted' }).waitFor()
  })

  const failures: string[] = []
  beforeAll(() => {
    other.on('console', (message) => message.type() === 'error' && failures.push(message.text()))
    other.on('pageerror', (error) => failures.push(error.message))
  })

  it.each(VIEWS)(
    'has a working, accessible live view of %s',
    async (name, use) => {
      const view = other
      failures.length = 0
      await view.goto(`${suite.url('web-ui')}/${name}?requests=8`)
      await view.locator('#state', { hasText: /Live|Not measured/ }).waitFor()
      await use(view)
      expect(await seriousFindings(view)).toEqual([])
      await look(view, name)
      expect(failures).toEqual([])
    },
    40_000,
  )

  it('has no accessibility violations and fits on a phone', async () => {
    await explorer.run(1, 'expired')
    await explorer.hop({ verdict: 'refused' }).first().waitFor()
    expect(await seriousFindings(page)).toEqual([])
    await look(page, 'explorer')
  })
})

interface Focus {
  readonly name: string
  readonly isVisible: boolean
}

/** Returns the focused element's accessible name, and whether its focus is visible. */
const DESCRIBE_FOCUS = `(() => {
  const element = document.activeElement
  const { outlineStyle, outlineWidth } = getComputedStyle(element)
  return {
    name: element.getAttribute('aria-label') ?? element.textContent.trim(),
    isVisible: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
  }
})()`

/** Two fonts of 30 KB each, the styles and the script, with some reserve. */
const MOST_BYTES = 200_000
const MEASURE_LOADING = `({
  paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
  bytes: [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(({ initiatorType, name }) => !/\\/(live|explorer)\\//.test(name))
    .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
})`

/** Checks that nothing is wider than a phone, and takes screenshots if SCREENSHOTS=1. */
async function look(page: Page, name: string): Promise<void> {
  await page.setViewportSize({ width: 390, height: 844 })
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
  await page.setViewportSize({ width: 1280, height: 900 })
  await takeScreenshots(page, name)
}
