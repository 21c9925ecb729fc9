import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { Firefox } from './firefox.ts'

const root = dirname(import.meta.dirname)
const SCREENSHOTS = join(root, 'artifacts/screenshots')

/** What is drawn, in the order in which it stands: each verdict, and each answer that was a refusal. */
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
/** How light the ground of the page is, from 0 to 255. */
const GROUND = `Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0])`

// Not every Debian has it, so CI goes on without it, too.
const isInstalled = spawnSync('firefox-esr', ['--version']).status === 0
if (!isInstalled) console.warn('skipped: firefox-esr is not installed (apt-get install firefox-esr)')

;(isInstalled ? describe : describe.skip)('the explorer in Firefox', () => {
  let suite: TestSuite
  let firefox: Firefox | undefined
  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: ['jwt-factory', 'service-a', 'service-b', 'sse-server', 'sse-gateway', 'web-ui'],
    })
  }, 60_000)
  afterEach(() => firefox?.stop())
  afterAll(() => suite?.stop())

  it.each(['light', 'dark'] as const)(
    'draws a good and an expired token of scenario 1, %s, without an error',
    async (scheme) => {
      firefox = await Firefox.start(scheme)
      await firefox.open(`${suite.url('web-ui')}/explorer`)
      await firefox.until(`document.querySelector('.stream-state')?.textContent.startsWith('Live')`)
      await firefox.evaluate(run(''))
      await firefox.until(`document.querySelectorAll('.hop[data-verdict="accepted"]').length === 2`)
      await firefox.until(`document.querySelector('.picture-head .status')?.textContent === 'accepted'`)
      expect(await firefox.evaluate(DRAWN)).toEqual(['jwt-factory accepted', 'service-b accepted'])
      await firefox.evaluate(run('expired'))
      await firefox.until(`document.querySelectorAll('.hop[data-verdict="refused"]').length === 2`)
      await firefox.until(`document.querySelector('.picture-head .status')?.textContent === 'refused'`)
      await firefox.until(`document.querySelectorAll('.hop[data-status="401"]').length === 1`)
      expect(await firefox.evaluate(DRAWN)).toEqual([
        'jwt-factory 403',
        'jwt-factory refused expired',
        'service-b 401',
        'service-b refused expired',
      ])
      expect(await firefox.evaluate(`document.querySelector('.checks tr.tone-bad').innerText`)).toContain(
        'RFC 7519 §4.1.4',
      )
      expect((await firefox.evaluate<number>(GROUND)) > 128).toBe(scheme === 'light')
      expect(firefox.errors).toEqual([])
      mkdirSync(SCREENSHOTS, { recursive: true })
      writeFileSync(join(SCREENSHOTS, `explorer-firefox-${scheme}.png`), await firefox.screenshot())
    },
    60_000,
  )
})
