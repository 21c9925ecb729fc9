import { dirname } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'
import { seriousFindings } from './accessibility.ts'
import { useBrowser } from './browser.ts'

const root = dirname(import.meta.dirname)

describeWith('chromium', 'apt-get install chromium')('the live view of keys with a schedule', () => {
  const browser = useBrowser()
  let suite: TestSuite
  beforeAll(async () => {
    suite = await startTestSuite(root, {
      only: ['jwt-factory', 'service-a', 'sse-server', 'web-ui'],
      env: { ROTATE_EVERY: '24h' },
    })
  }, 60_000)
  afterAll(() => suite?.stop())
  const factory = (path: string, method = 'POST') => fetch(suite.url('jwt-factory') + path, { method })

  it('shows when the next key is published, when it signs, and which keys are withdrawn', async () => {
    await factory('/keys/planned', 'GET')
    const page = await browser.newPage()
    page.setDefaultTimeout(10_000)
    await page.goto(`${suite.url('web-ui')}/keys`)
    const card = page.locator('[data-key-id="planned"]')
    await card
      .getByText(/^Scheduled: the next key is published in \d+ h \d+ min; it signs in \d+ h \d+ min\.$/)
      .waitFor()
    await factory('/keys/planned')
    await card.getByText(/^Scheduled: the next key is published; it signs in \d+ h \d+ min\.$/).waitFor()
    await card.locator('[data-state="published"]').waitFor()
    await factory('/keys/planned/withdraw')
    await card.locator('[data-state="withdrawn"]').first().waitFor()
    expect(await seriousFindings(page)).toEqual([])
  }, 40_000)
})
