export type ColourScheme = 'light' | 'dark'

/** What a test asks of a browser that Playwright does not drive. */
export interface OtherBrowser {
  /** What has gone wrong on the page. */
  readonly errors: readonly string[]
  open(url: string): Promise<void>
  /** The value of an expression on the page, as JSON has it; a promise is waited for. */
  evaluate<T>(expression: string): Promise<T>
  /** As PNG. */
  screenshot(): Promise<Buffer>
  stop(): Promise<void>
}

/** Waits until an expression is true on the page. */
export async function until(browser: OtherBrowser, expression: string, timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await browser.evaluate<boolean>(expression))) {
    if (Date.now() > deadline) throw new Error(`never true: ${expression}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
