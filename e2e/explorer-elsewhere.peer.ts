import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { Firefox, missingFirefox } from './firefox.ts'
import { type OtherBrowser, until } from './other-browser.ts'
import { missingWebKit, WebKit } from './webkit.ts'

const root = dirname(import.meta.dirname)
const SCREENSHOTS = join(root, 'artifacts/screenshots')

/** The drawn verdicts and rejected calls, sorted. */
const DRAWN = `[...document.querySelectorAll('.hop')]
  .filter(({ dataset }) => dataset.kind === 'verification' || dataset.status >= 400)
  .map(({ dataset: { kind, service, peer, verdict, reason, status } }) =>
    kind === 'verification' ? [service, verdict, reason].filter(Boolean).join(' ') : peer + ' ' + status)
  .sort()`
const run = (fault: string) => `(() => {
  const card = document.querySelector('[data-scenario="1"]')
  card.querySelector('select').value = '${fault}'
  card.querySelector('button').click()
})()`
/** The brightness of the page's background, from 0 to 255. */
const GROUND = `Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0])`

const browsers = [
  { name: 'Firefox', missing: missingFirefox(), start: Firefox.start },
  { name: 'WebKit', missing: missingWebKit(), start: WebKit.start },
]
// Skipped where they are not installed: not every Debian has them.
for (const { missing } of browsers) if (missing) console.warn(`skipped: ${missing}`)

describe('the explorer in other browsers than Chromium', () => {
  let suite: TestSuite
  let browser: OtherBrowser | undefined
  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: ['jwt-factory', 'service-a', 'service-b', 'sse-server', 'sse-gateway', 'web-ui'],
    })
  }, 60_000)
  afterEach(() => browser?.stop())
  afterAll(() => suite?.stop())

  for (const { name, missing, start } of browsers)
    (missing ? it.skip : it).each(['light', 'dark'] as const)(
      `draws a valid and an expired token of scenario 1 in ${name}, %s, without an error`,
      async (scheme) => {
        const page = await start(scheme)
        browser = page
        await page.open(`${suite.url('web-ui')}/explorer`)
        await until(page, `document.querySelector('.stream-state')?.textContent.startsWith('Live')`)
        await page.evaluate(run(''))
        await until(page, `document.querySelectorAll('.hop[data-verdict="accepted"]').length === 2`)
        await until(page, `document.querySelector('.picture-head .status')?.textContent === 'accepted'`)
        expect(await page.evaluate(DRAWN)).toEqual(['jwt-factory accepted', 'service-b accepted'])
        await page.evaluate(run('expired'))
        await until(page, `document.querySelectorAll('.hop[data-verdict="refused"]').length === 2`)
        await until(page, `document.querySelector('.picture-head .status')?.textContent === 'rejected'`)
        await until(page, `document.querySelectorAll('.hop[data-status="401"]').length === 1`)
        expect(await page.evaluate(DRAWN)).toEqual([
          'jwt-factory 403',
          'jwt-factory refused expired',
          'service-b 401',
          'service-b refused expired',
        ])
        expect(await page.evaluate(`document.querySelector('.checks tr.tone-bad').innerText`)).toContain(
          'RFC 7519 §4.1.4',
        )
        expect((await page.evaluate<number>(GROUND)) > 128).toBe(scheme === 'light')
        mkdirSync(SCREENSHOTS, { recursive: true })
        writeFileSync(
          join(SCREENSHOTS, `explorer-${name.toLowerCase()}-${scheme}.png`),
          await page.screenshot(),
        )
        expect(page.errors).toEqual([])
      },
      60_000,
    )
})
