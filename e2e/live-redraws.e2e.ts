import { dirname, join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import type { Page } from 'playwright-core'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { useBrowser } from './browser.ts'

const root = dirname(import.meta.dirname)

/** Keeps redrawing a page with changed data, as a live page does each second, but two hundred times per second. */
const REDRAW_ALL_THE_TIME = `(async () => {
  const { redraw, actionButton, countdown, jsonDetails, name, section, table } = await import('/source/live/live-page.js')
  const { el } = await import('/source/explorer-dom.js')
  const live = document.createElement('div')
  document.querySelector('main').prepend(live)
  window.runs = []
  let round = 0
  const draw = () => {
    round += 1
    // A row comes and goes before the others, and the texts change.
    const rows = [...(round % 3 === 0 ? ['new'] : []), 'ada', 'bob', 'cy']
    redraw(live, [
      ...(round % 2 === 0 ? [section('Sometimes', el('p', {}, 'here'))] : []),
      section(
        'Rows',
        el('p', {}, 'Round ' + round),
        table('Rows', ['Name', 'Ends in', ''], rows.map((row) => [
          name(row),
          countdown(Date.now() + 60_000, { from: Date.now() }),
          actionButton('Press', {
            key: 'row ' + row,
            describe: row,
            run: async () => window.runs.push(row),
          }),
        ]), 'none'),
        jsonDetails('Details', { round }),
      ),
      section('Text', el('p', { id: 'words' }, 'words that are selected')),
    ])
  }
  draw()
  window.redraws = setInterval(draw, 5)
})()`

describeWith('chromium', 'apt-get install chromium')('a live page that is redrawn all the time', () => {
  const browser = useBrowser()
  let suite: TestSuite
  let page: Page
  beforeAll(async () => {
    suite = await startTestSuite(root, { only: ['web-ui'] })
    page = await browser.newPage()
    await page.goto(`${suite.url('web-ui')}/numbers`)
    // The pages get bundled scripts; the test needs the modules.
    await page.route('**/source/**', (route) =>
      route.fulfill({ path: join(root, 'web-ui/public', new URL(route.request().url()).pathname.slice(8)) }),
    )
    await page.evaluate(REDRAW_ALL_THE_TIME)
  }, 60_000)
  afterAll(() => suite?.stop())

  it('loses no press of Enter or Space, and no focus', async () => {
    const button = page.getByRole('button', { name: 'Press bob' })
    await button.focus()
    for (let round = 0; round < 40; round += 1) {
      await page.keyboard.press('Enter', { delay: round })
      await page.keyboard.press('Space', { delay: round })
      expect(await button.evaluate('document.activeElement.dataset.key')).toBe('row bob')
    }
    expect(await page.evaluate('window.runs')).toEqual(Array.from({ length: 80 }, () => 'bob'))
  }, 60_000)

  it('keeps an open detail, a selection and the nodes of unchanged rows', async () => {
    const details = page.locator('details[data-key="Details"]')
    // Not by the mouse: while the page is redrawn, the place of the summary changes.
    await details.locator('summary').press('Enter')
    await page.evaluate("getSelection().selectAllChildren(document.getElementById('words'))")
    const row = await page.getByRole('button', { name: 'Press cy' }).elementHandle()
    const round = page.locator('section p', { hasText: /^Round \d+$/ })
    // Not by a function in the page: its content security policy forbids to evaluate one.
    await round.filter({ hasNotText: new RegExp(`^${await round.innerText()}$`) }).waitFor()
    expect(await details.getAttribute('open')).toBe('')
    expect(await details.innerText()).toMatch(/"round": \d+/)
    expect(await page.evaluate('String(getSelection())')).toBe('words that are selected')
    expect(await row?.evaluate((node) => (node as { isConnected?: boolean }).isConnected)).toBe(true)
  }, 30_000)

  it('keeps a section whose heading changes', async () => {
    const isKept = await page.evaluate(`(async () => {
      const { keyed, redraw, section } = await import('/source/live/live-page.js')
      const place = document.body.appendChild(document.createElement('div'))
      redraw(place, [keyed('open', section('One is open', 'a'))])
      const before = place.firstChild
      redraw(place, [keyed('open', section('2 are open', 'b'))])
      return before === place.firstChild && place.innerText.includes('2 are open')
    })()`)
    expect(isKept).toBe(true)
  }, 30_000)

  it('gives a kept button the action of the new one', async () => {
    const button = page.getByRole('button', { name: 'Press ada' })
    await page.evaluate('window.runs.length = 0')
    await page.evaluate(`(async () => {
      clearInterval(window.redraws)
      const { redraw, actionButton } = await import('/source/live/live-page.js')
      const live = document.querySelector('main > div')
      for (const label of ['Revoke', 'Restore'])
        redraw(live, [actionButton(label, { key: 'one', run: async () => window.runs.push(label) })])
    })()`)
    await button.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Restore' }).click()
    expect(await page.evaluate('window.runs')).toEqual(['Restore'])
  }, 30_000)
})
