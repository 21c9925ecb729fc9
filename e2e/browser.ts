import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

/** Where screenshots go, for a person to look at; ignored by git. Taking them costs as much as the tests, so CI does it. */
const SCREENSHOTS = join(import.meta.dirname, '../artifacts/screenshots')

/** Debian's Chromium; its build without windows, where that is installed too, needs half the time for the same pages. */
const WINDOWLESS = '/usr/bin/chromium-headless-shell'
const CHROMIUM = existsSync(WINDOWLESS) ? WINDOWLESS : '/usr/bin/chromium'

/** Not a promise about the pages: on a busy machine with two cores a first page may need seconds. */
const WAIT_MS = 15_000

/** Without the calls that it makes by itself; as root it has no sandbox of its own. */
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
 * One browser for the tests of a file, and one context in it: each costs a second of a core, a cleared one nothing.
 * Pages that a test opens are closed with it, and no cookie is left; what is opened before all tests stays.
 * @param args asked when it starts.
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
    if (!browser) throw new Error('The browser is used before it has started.')
    const context = await browser.newContext({ reducedMotion: 'reduce', ...options })
    context.setDefaultTimeout(WAIT_MS)
    return context
  }
  return {
    /** With options, e.g. fields of its own, the page has a context of its own. */
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

/** Takes the page as it stands, on a desk and on a phone, by day and by night: in CI, or with `SCREENSHOTS=1`. */
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
      // Half of the time that PNG takes.
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
