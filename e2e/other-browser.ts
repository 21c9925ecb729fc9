export type ColourScheme = 'light' | 'dark'

/** The commands for browsers that Playwright does not drive. */
export interface OtherBrowser {
  /** Errors of the page. */
  readonly errors: readonly string[]
  open(url: string): Promise<void>
  /** Evaluates an expression on the page, awaits a promise, and returns the JSON value. */
  evaluate<T>(expression: string): Promise<T>
  /** Takes a screenshot as PNG. */
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
