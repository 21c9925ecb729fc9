import { describeWith } from '@hallpass/service-kit/testing'
import { expect, it } from '@jest/globals'
import axe from 'axe-core'
import type { Page } from 'playwright-core'
import { takeScreenshots, useBrowser } from './browser.ts'
import { useCuttableConnection } from './cuttable-connection.ts'
import { LIFETIME_SECONDS, WINDOW_SECONDS } from './stream-system.ts'
import { trustCertificate } from './trust-certificate.ts'
import { useStreamSystem } from './use-stream-system.ts'

describeWith('chromium', 'apt-get install chromium')('the page of the SSE gateway in a browser', () => {
  const system = useStreamSystem()
  const browser = useBrowser(() => [trustCertificate(system.certificate)])

  const cuttable = useCuttableConnection(() => system.url)

  async function openPage(url = system.url): Promise<{ page: Page; errors: string[]; requested: URL[] }> {
    const page = await browser.newPage()
    const errors: string[] = []
    const requested: URL[] = []
    page.on('request', (request) => requested.push(new URL(request.url())))
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text())
    })
    await page.goto(`${url}/index.html`)
    return { page, errors, requested }
  }

  const message = (page: Page, kind: string, text = '') =>
    page.locator(`#messages li[data-kind="${kind}"]`, { hasText: text })
  const untilChallenge = LIFETIME_SECONDS - WINDOW_SECONDS

  it('opens a stream, shows its events, answers its challenges, and stays open past the first token’s expiry', async () => {
    const { page, errors } = await openPage()
    expect(await page.getByLabel('Location').inputValue()).toBe(`${system.url}/events`)
    await page.getByRole('button', { name: 'Go' }).click()
    await message(page, 'stream', 'open').waitFor()
    await system.publish({ data: 'Hello, <b>world</b>' })
    await message(page, 'event', 'Hello, <b>world</b>').waitFor()
    // Publishers may use the event types that the browser uses for its connection; they are shown as messages.
    for (const name of ['open', 'error']) {
      await system.publish({ name, data: `published ${name}` })
      await message(page, 'event', `published ${name}`).waitFor()
    }
    expect(await message(page, 'stream', 'open').count()).toBe(1)
    // The layout of such a word would stop the page for longer than its token is valid.
    await system.publish({ data: 'x'.repeat(1_000_000) })
    await message(page, 'event', '… (996000 more characters)').waitFor()
    system.advance(untilChallenge)
    await message(page, 'challenge', '{"method":"POST"').waitFor()
    await message(page, 'answer', 'POST /events → 204').waitFor()
    await takeScreenshots(page, 'stream-open')
    system.advance(untilChallenge)
    await message(page, 'answer', 'POST /events → 204').nth(1).waitFor()
    await system.publish({ data: 'still here' })
    await message(page, 'event', 'still here').waitFor()
    expect(await message(page, 'end').count()).toBe(0)
    expect(await page.locator('#renewals').textContent()).toBe('2 times')
    expect(errors).toEqual([])
    await page.getByRole('button', { name: 'Stop' }).click()
  }, 30_000)

  it('says that a token with the same expiry does not extend the stream, and requests another', async () => {
    const { page } = await openPage()
    const opening = page.waitForResponse('**/token')
    await page.getByRole('button', { name: 'Go' }).click()
    const body = await (await opening).text()
    await message(page, 'stream', 'open').waitFor()
    // The token endpoint answers the first challenge with the token that opened the stream.
    await page.route('**/token', (route) => route.fulfill({ contentType: 'application/json', body }), {
      times: 1,
    })
    system.advance(untilChallenge)
    await message(page, 'error', 'POST /events → 409: The stream closes at ').waitFor()
    await message(page, 'answer', 'POST /events → 204').waitFor()
    expect(await page.locator('#renewals').textContent()).toBe('once')
    await page.getByRole('button', { name: 'Stop' }).click()
  }, 30_000)

  it('shows the end reason, logs an error and stops reconnecting when Reauthorize is off', async () => {
    const { page, errors } = await openPage()
    await page.getByLabel('Reauthorize').uncheck()
    await page.getByRole('button', { name: 'Go' }).click()
    await message(page, 'stream', 'open').waitFor()
    system.advance(untilChallenge)
    await message(page, 'challenge').waitFor()
    await message(page, 'answer', 'none').waitFor()
    system.advance(WINDOW_SECONDS)
    await message(page, 'end', 'token_expired').waitFor()
    expect(await page.locator('#state').textContent()).toBe('token expired')
    // The browser reconnects with its old URL, receives 401 and stops.
    await message(page, 'end', 'the gateway rejects the used ticket').waitFor()
    await takeScreenshots(page, 'stream-ended')
    expect(errors.some((error) => error.includes('The event stream has ended.'))).toBe(true)
    expect(errors.some((error) => error.includes('401'))).toBe(true)
  }, 30_000)

  it('reconnects with a new token after a lost connection and shows each event once', async () => {
    const { page, requested } = await openPage(cuttable.url)
    await page.getByRole('button', { name: 'Go' }).click()
    await message(page, 'stream', 'open').waitFor()
    await system.publish({ data: 'before the cut' })
    await message(page, 'event', 'before the cut').waitFor()
    system.advance(untilChallenge)
    await message(page, 'answer', '204').waitFor()
    // The first token expires.
    system.advance(WINDOW_SECONDS)
    cuttable.cut()
    await system.publish({ data: 'during the cut' })
    await message(page, 'stream', 'reconnecting').waitFor()
    await message(page, 'event', 'during the cut').waitFor()
    await system.publish({ data: 'after the cut' })
    await message(page, 'event', 'after the cut').waitFor()
    expect(await page.locator('#messages li[data-kind="event"] p').allTextContents()).toEqual([
      'after the cut',
      'during the cut',
      'before the cut',
    ])
    // Each stream has its own ticket, and no token is in a URL.
    const streams = requested.filter(({ searchParams }) => searchParams.has('handle'))
    expect(streams.length).toBeGreaterThan(1)
    expect(new Set(streams.map(({ searchParams }) => searchParams.get('ticket'))).size).toBe(streams.length)
    expect(requested.filter(({ href }) => href.includes('access_token') || href.includes('eyJ'))).toEqual([])
    expect(streams.at(-1)?.searchParams.get('lastEventId')).toBeTruthy()
  }, 40_000)

  it('closes the stream immediately when its token is revoked', async () => {
    const { page } = await openPage()
    await page.getByRole('button', { name: 'Go' }).click()
    await message(page, 'stream', 'open').waitFor()
    await page.getByRole('button', { name: 'Revoke token' }).click()
    const question = page.getByRole('alertdialog', { name: 'Revoke this token?' })
    const revoked = Date.now()
    await question.getByRole('button', { name: 'Revoke' }).click()
    await message(page, 'end', 'token_revoked').waitFor()
    expect(Date.now() - revoked).toBeLessThan(1_000)
  })

  it('has no accessibility violations in light and dark mode and works by keyboard', async () => {
    const { page } = await openPage()
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.evaluate(axe.source)
      const { violations } = await page.evaluate(() =>
        (
          globalThis as unknown as { axe: { run: () => Promise<{ violations: { id: string }[] }> } }
        ).axe.run(),
      )
      expect(violations.map(({ id }) => id)).toEqual([])
    }
    await page.getByLabel('Location').focus()
    await page.keyboard.press('Enter')
    await message(page, 'stream', 'open').waitFor()
  })

  it('logs no token', () => {
    expect(system.log).toContain('"stream ended"')
    expect(system.log).not.toContain('eyJ')
  })
})
