import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

/** The folder of screenshots, ignored by git. They take as long as the tests, so by default only CI takes them. */
const SCREENSHOTS = join(import.meta.dirname, '../artifacts/screenshots')

/** Debian's Chromium. The headless build, if installed, needs half the time. */
const WINDOWLESS = '/usr/bin/chromium-headless-shell'
const CHROMIUM = existsSync(WINDOWLESS) ? WINDOWLESS : '/usr/bin/chromium'

/** Long enough for a first page on a busy machine with two cores. */
const WAIT_MS = 15_000

/** No background requests; no sandbox as root, where Chromium has none. */
const launch = (args: readonly string[]) =>
  chromium.launch({
    executablePath: CHROMIUM,
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
 * Starts one browser with one context for the tests of a file, because each start costs a second of CPU time. Pages that a
 * test opens are closed after it and its cookies deleted; pages opened before all tests stay open.
 * @param args called when the browser starts.
 */
export function useBrowser(args: () => readonly string[] = () => []) {
  let browser: Browser | undefined
  let shared: BrowserContext | undefined
  let opened: { close(): Promise<void> }[] = []
  beforeAll(async () => {
    browser = await launch(args())
  })
  beforeEach(() => {
    opened = []
  })
  afterEach(async () => {
    await Promise.all(opened.map((one) => one.close()))
    await shared?.clearCookies()
  })
  afterAll(async () => {
    await browser?.close()
  })

  async function newContext(options: ContextOptions = {}): Promise<BrowserContext> {
    if (!browser) throw new Error('The browser has not started yet.')
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
    context.setDefaultTimeout(WAIT_MS)
    return context
  }
  return {
    /** Opens a page; with options, in its own context. */
    async newPage(options?: ContextOptions): Promise<Page> {
      if (options) {
        const context = await newContext(options)
        opened.push(context)
        return context.newPage()
      }
      shared ??= await newContext()
      const page = await shared.newPage()
      opened.push(page)
      return page
    },
  }
}

type ContextOptions = NonNullable<Parameters<Browser['newContext']>[0]>

const LOOKS = [
  ['desktop-light', { width: 1280, height: 900 }, 'light'],
  ['desktop-dark', { width: 1280, height: 900 }, 'dark'],
  ['phone-light', { width: 390, height: 844 }, 'light'],
  ['phone-dark', { width: 390, height: 844 }, 'dark'],
] as const

export type Look = (typeof LOOKS)[number][0]
export const everyLook: readonly Look[] = LOOKS.map(([look]) => look)

const TAKES_SCREENSHOTS = process.env.CI === 'true' || process.env.SCREENSHOTS === '1'

/** Takes screenshots of the page in desktop and phone size, light and dark, in CI or if `SCREENSHOTS=1`. */
export async function takeScreenshots(
  page: Page,
  name: string,
  looks: readonly Look[] = everyLook,
): Promise<void> {
  if (!TAKES_SCREENSHOTS) return
  mkdirSync(SCREENSHOTS, { recursive: true })
  const before = page.viewportSize()
  for (const [look, size, colorScheme] of LOOKS) {
    if (!looks.includes(look)) continue
    await page.setViewportSize(size)
    await page.emulateMedia({ colorScheme })
    await page.screenshot({
      // Takes half as long as PNG.
      path: join(SCREENSHOTS, `${name}-${look}.jpg`),
      type: 'jpeg',
      quality: 80,
      fullPage: true,
      animations: 'disabled',
    })
  }
  await page.emulateMedia({ colorScheme: 'light' })
  if (before) await page.setViewportSize(before)
}
