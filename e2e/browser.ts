import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

/** Where screenshots go, for a person to look at; ignored by git. */
const SCREENSHOTS = join(import.meta.dirname, '../artifacts/screenshots')

/** Debian's Chromium, without the calls that it makes by itself; as root it has no sandbox of its own. */
const launch = (args: readonly string[]) =>
  chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
      ...args,
    ],
  })

/**
 * One browser for the tests of a file; each test opens a context of its own, with cookies of its own.
 * @param args asked when it starts.
 */
export function useBrowser(args: () => readonly string[] = () => []) {
  let browser: Browser | undefined
  const contexts: BrowserContext[] = []
  beforeAll(async () => {
    browser = await launch(args())
  })
  afterAll(async () => {
    await browser?.close()
  })
  return {
    async newPage(options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
      if (!browser) throw new Error('The browser is used before it has started.')
      const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
      context.setDefaultTimeout(5_000)
      contexts.push(context)
      return context.newPage()
    },
  }
}

const LOOKS = [
  ['desktop-light', { width: 1280, height: 900 }, 'light'],
  ['desktop-dark', { width: 1280, height: 900 }, 'dark'],
  ['phone-light', { width: 390, height: 844 }, 'light'],
  ['phone-dark', { width: 390, height: 844 }, 'dark'],
] as const

export type Look = (typeof LOOKS)[number][0]
export const everyLook: readonly Look[] = LOOKS.map(([look]) => look)

/** Takes the page as it stands, on a desk and on a phone, by day and by night. */
export async function takeScreenshots(
  page: Page,
  name: string,
  looks: readonly Look[] = everyLook,
): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true })
  const before = page.viewportSize()
  for (const [look, size, colorScheme] of LOOKS) {
    if (!looks.includes(look)) continue
    await page.setViewportSize(size)
    await page.emulateMedia({ colorScheme })
    await page.screenshot({
      path: join(SCREENSHOTS, `${name}-${look}.png`),
      fullPage: true,
      animations: 'disabled',
    })
  }
  await page.emulateMedia({ colorScheme: 'light' })
  if (before) await page.setViewportSize(before)
}
