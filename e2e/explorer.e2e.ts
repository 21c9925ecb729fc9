import http from 'node:http'
import { dirname } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { takeScreenshots, useBrowser } from './browser.ts'
import { ExplorerPage } from './explorer-page.ts'

const root = dirname(import.meta.dirname)

describeWith('chromium', 'apt-get install chromium')('the explorer in a browser', () => {
  const browser = useBrowser()
  let suite: TestSuite
  /** The page that most tests go on with; each run is a trace of its own. */
  let explorer: ExplorerPage
  let page: Page
  beforeAll(async () => {
    suite = await startTestSuite(root)
    page = await browser.newPage()
    page.setDefaultTimeout(10_000)
    explorer = await ExplorerPage.open(page, suite)
  }, 60_000)
  afterAll(() => suite?.stop())

  /** Who verifies in each scenario, in the order of the alphabet. */
  const VERIFIERS: Readonly<Record<number, readonly string[]>> = {
    1: ['jwt-factory', 'service-b'],
    2: ['jwt-factory', 'jwt-factory', 'service-b', 'service-c'],
    3: ['service-b'],
    4: ['service-b', 'service-c'],
    5: ['spiffe-server'],
    6: ['token-cache-api'],
  }
  /** By fault: the reason of a verifier with a key of its own, of the factory, and of who repeats its verdict without one. */
  const REASONS: Readonly<Record<string, readonly [own: string, factory: string, repeated: string]>> = {
    expired: ['expired', 'expired', 'expired'],
    'wrong-audience': ['audience_mismatch', 'audience_mismatch', 'refused'],
    'wrong-key': ['signature_invalid', 'key_unknown', 'refused'],
    tampered: ['signature_invalid', 'signature_invalid', 'refused'],
  }

  /** Scenario, fault, what the page says of it, and every verdict that it draws. */
  const RUNS: readonly (readonly [number, string | undefined, string, readonly string[]])[] = [
    ...Object.entries(VERIFIERS).map(
      ([scenario, services]) =>
        [
          Number(scenario),
          undefined,
          ['2', '4'].includes(scenario) ? 'accepted by B and C' : 'accepted',
          services.map((service) => `${service} accepted`),
        ] as const,
    ),
    ...Object.entries(REASONS).flatMap(
      ([fault, [own, factory, repeated]]) =>
        [
          [1, fault, 'refused', [`jwt-factory refused ${factory}`, `service-b refused ${repeated}`]],
          // Each callee has a token of its own: a bad one for C changes nothing at B.
          [
            2,
            fault,
            'refused by C, accepted by B',
            [
              'jwt-factory accepted',
              'service-b accepted',
              `jwt-factory refused ${factory}`,
              `service-c refused ${repeated}`,
            ],
          ],
          [3, fault, 'refused', [`service-b refused ${own}`]],
          [4, fault, 'refused by B and C', [`service-b refused ${own}`, `service-c refused ${own}`]],
          // The key of the forger is one that the gateway has never heard of.
          [7, fault, 'refused', [`sse-gateway refused ${fault === 'wrong-key' ? 'key_unknown' : own}`]],
        ] as const,
    ),
    [5, 'wrong-audience', 'refused', ['spiffe-server refused wrong_audience']],
    [1, 'no-token', 'refused', []],
    [2, 'no-token', 'refused by C, accepted by B', ['jwt-factory accepted', 'service-b accepted']],
    [3, 'no-token', 'refused', []],
    [4, 'no-token', 'refused by B and C', []],
    [6, 'no-token', 'refused', []],
    [7, 'no-token', 'refused', []],
  ]

  it.each(RUNS)(
    'draws scenario %d with %s: %s, and what is drawn is what the services have logged',
    async (scenario, fault, expected, verdicts) => {
      const { trace, outcome } = await explorer.run(scenario, fault)
      expect(outcome).toBe(expected)
      await explorer.agreesWithLogs(suite, trace)
      expect(await explorer.verdicts()).toEqual([...verdicts].sort())
      const refusals = await explorer.hop({ kind: 'call', status: '401' }).count()
      expect(refusals > 0).toBe(outcome.startsWith('refused'))
    },
  )

  it('offers no fault that is not among these', async () => {
    const offered = (await page.evaluate(
      `[...document.querySelectorAll('.scenario')].flatMap((card) =>
        [...card.querySelectorAll('option')]
          .filter(({ value }) => value)
          .map(({ value }) => card.dataset.scenario + ' ' + value))`,
    )) as string[]
    expect(offered.sort()).toEqual(
      RUNS.flatMap(([number, fault]) => (fault ? [`${number} ${fault}`] : [])).sort(),
    )
  })

  it('draws a stream as it lives, loses nothing when the page is loaded again meanwhile, and finds it by its link', async () => {
    await page.locator('[data-scenario="7"]').getByRole('button').click()
    await explorer.hop({ kind: 'event', path: 'challenge' }).first().waitFor()
    expect(await page.locator('.picture-head .status').innerText()).toBe('running')
    await page.reload()
    await explorer.hop({ kind: 'event', path: 'end' }).waitFor()
    const events = (await explorer.hops()).filter(({ kind }) => kind === 'event').map(({ path }) => path)
    expect(events.filter((event) => event !== 'message')).toEqual(['challenge', 'challenge', 'end'])
    expect(events.filter((event) => event === 'message')).toHaveLength(2)
    expect(await page.locator('.hop[data-path="end"]').textContent()).toContain('token_expired')
    const { search, searchParams } = new URL(page.url())
    await explorer.agreesWithLogs(suite, searchParams.get('trace') as string)
    expect(await explorer.verdicts()).toEqual(['sse-gateway accepted', 'sse-gateway accepted'])
    const linked = await ExplorerPage.open(await browser.newPage(), suite, search)
    await linked.hop({ kind: 'event', path: 'end' }).waitFor()
    await linked.page.close()
  })

  it('says by which rule a token was refused and at which line, and never shows a signature', async () => {
    await explorer.run(3, 'tampered')
    await page.locator('.hop[data-verdict="refused"][aria-expanded="true"]').waitFor()
    const failed = page.locator('.checks tr.tone-bad')
    expect((await failed.innerText()).replace(/\s+/g, ' ')).toContain('signature ✗ failed RFC 7515 §5.2')
    expect(await page.content()).not.toContain('eyJ')
    const source = await browser.newPage()
    await source.goto(
      new URL((await failed.locator('a.mono').getAttribute('href')) as string, page.url()).href,
    )
    expect(await source.locator('li:target').innerText()).toContain(`'signature', 'signature_invalid'`)
    const other = await source.goto(`${suite.url('web-ui')}/source?file=package.json`)
    expect(other?.status()).toBe(404)
    await source.close()
  })

  it.each([
    ['sse-gateway', /^The SSE gateway is away/],
    ['sse-server', /^The SSE server is away/],
  ])(
    'says that the %s is away, and which part that is, still runs scenarios, and heals by itself',
    async (name, words) => {
      const announced = page.getByRole('status').filter({ hasText: words })
      let trace = ''
      await suite.launcher.restart(name, async () => {
        await page.locator('.stream-state', { hasText: words }).waitFor()
        expect(await announced.count()).toBe(1)
        const run = await explorer.run(1)
        expect(run.outcome).toBe('accepted')
        trace = run.trace
        // Whoever comes now is told the same.
        if (name === 'sse-server') {
          const late = await browser.newPage()
          await late.goto(`${suite.url('web-ui')}/explorer`)
          await late.locator('.stream-state', { hasText: words }).waitFor()
          await late.close()
        }
      })
      await page.getByText(/^Live: this stream’s token ends/).waitFor()
      // What was told meanwhile comes late, and nothing of it is missing.
      await explorer.agreesWithLogs(suite, trace)
      await explorer.run(3, 'expired')
      await explorer.hop({ verdict: 'refused' }).waitFor({ timeout: 15_000 })
    },
    45_000,
  )

  it.each(['GET /live/keys', 'GET /explorer/hops', 'POST /explorer/runs'])(
    'answers %s to nobody who reached this machine under another name',
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

  it('is what a stranger sees first, and the home page is one click away', async () => {
    const stranger = await browser.newPage()
    await stranger.goto(suite.url('web-ui'))
    expect(new URL(stranger.url()).pathname).toBe('/explorer')
    await stranger.getByRole('link', { name: 'Home' }).click()
    expect(await stranger.locator('.call .status').allInnerTexts()).toEqual(['401', '401'])
    await stranger.close()
  })

  const VIEWS: readonly [string, (view: Page) => Promise<void>][] = [
    [
      'keys',
      async (view) => {
        const card = view.locator('[data-key-id="servicea"]')
        const before = await card.locator('[data-state="published"] .name').innerText()
        await view.getByRole('button', { name: 'Rotate servicea' }).click()
        // The key that was published signs now, and verifiers know it since before.
        await card.locator('[data-state="signing"] .name', { hasText: before }).waitFor()
        await view.getByRole('region', { name: 'The key set' }).getByText(before).waitFor()
      },
    ],
    [
      'streams',
      async (view) => {
        await view.getByRole('button', { name: /^Open one/ }).click()
        const row = view.getByRole('row', { name: /\/events/ })
        await row
          .getByText(/challenged|open/)
          .first()
          .waitFor()
        await row.getByRole('button', { name: /^Revoke/ }).click()
        await view.getByRole('region', { name: 'Ended streams' }).getByText('token_revoked').first().waitFor()
      },
    ],
    [
      'token-cache',
      async (view) => {
        await view.getByRole('textbox', { name: 'User' }).fill('ada')
        await view.getByRole('button', { name: /^Send 10/ }).click()
        await view.getByRole('row', { name: /ada:explorer jti=/ }).waitFor()
        const calls = await view.locator('[data-figure="issuerCalls"]').allInnerTexts()
        expect(calls.length).toBe(2)
        await view.getByRole('button', { name: 'Block the user' }).click()
        await view
          .getByRole('row', { name: /^ada.* blocked/ })
          .first()
          .waitFor()
        await view.getByRole('button', { name: 'Lift the block of the user' }).click()
        await view.getByRole('row', { name: /^ada.* blocked/ }).waitFor({ state: 'detached' })
      },
    ],
    [
      'identities',
      async (view) => {
        const authorities = view.getByRole('region', { name: 'Authorities for x509' })
        await authorities.getByText('active').waitFor()
        await view.getByRole('button', { name: 'Rotate the x509 authority' }).click()
        await authorities.getByText('prepared').waitFor()
        await view.getByRole('button', { name: 'Revoke stranger' }).click()
        await view.getByRole('button', { name: 'Restore stranger' }).click()
        await view.getByRole('button', { name: 'Revoke stranger' }).waitFor()
      },
    ],
    [
      'numbers',
      async (view) => {
        await view.getByRole('button', { name: /^Measure/ }).click()
        await view.getByText(/^Measured here/).waitFor({ timeout: 20_000 })
        const row = view.getByRole('row', { name: /^Issuer calls a request/ })
        expect(await row.getByRole('cell').allInnerTexts()).toEqual(['2', '4', '0', '0'])
        expect(
          await view
            .getByRole('row', { name: /^Wrong answers/ })
            .getByRole('cell')
            .allInnerTexts(),
        ).toEqual(['0', '0', '0', '0'])
      },
    ],
  ]

  it.each(VIEWS)(
    'has a live view of %s that can be used, seen and listened to',
    async (name, use) => {
      const view = await browser.newPage()
      const failures: string[] = []
      view.on('console', (message) => message.type() === 'error' && failures.push(message.text()))
      view.on('pageerror', (error) => failures.push(error.message))
      await view.goto(`${suite.url('web-ui')}/${name}?requests=40`)
      await view.locator('#state', { hasText: /Live|Not measured/ }).waitFor()
      await use(view)
      expect(await seriousFindings(view)).toEqual([])
      await look(view, name)
      expect(failures).toEqual([])
      await view.close()
    },
    40_000,
  )

  it('is good to look at and to listen to', async () => {
    await explorer.run(1, 'expired')
    await explorer.hop({ verdict: 'refused' }).first().waitFor()
    expect(await seriousFindings(page)).toEqual([])
    await look(page, 'explorer')
  })
})

/** Nothing is wider than a phone, and with SCREENSHOTS=1 there are pictures for a person. */
async function look(page: Page, name: string): Promise<void> {
  await page.setViewportSize({ width: 390, height: 844 })
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390)
  await page.setViewportSize({ width: 1280, height: 900 })
  await takeScreenshots(page, name)
}
