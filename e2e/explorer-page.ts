import type { Page } from 'playwright-core'
import type { TestSuite } from '../scripts/test-suite.ts'

/** One hop as the page has drawn it. */
export interface DrawnHop {
  readonly kind: string
  readonly service: string
  readonly peer: string
  readonly path: string
  readonly status: string
  readonly verdict: string
}

/** The explorer as a test uses it: runs scenarios, and reads what was drawn. */
export class ExplorerPage {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  static async open(page: Page, suite: TestSuite, query = ''): Promise<ExplorerPage> {
    await page.goto(`${suite.url('web-ui')}/explorer${query}`)
    await page.getByText(/^Live: this stream’s token ends/).waitFor()
    return new ExplorerPage(page)
  }

  outcome(scenario: number) {
    return this.page.locator(`[data-scenario="${scenario}"] .outcome`)
  }

  /** Runs a scenario and answers with its trace id and its outcome. */
  async run(scenario: number, fault?: string): Promise<{ trace: string; outcome: string }> {
    const card = this.page.locator(`[data-scenario="${scenario}"]`)
    if (fault) await card.locator('select').selectOption(fault)
    else await card.getByRole('button').click()
    const done = this.outcome(scenario).filter({ hasText: /^(accepted|refused) after/ })
    await done.waitFor({ timeout: 15_000 })
    const trace = new URL(this.page.url()).searchParams.get('trace') as string
    return { trace, outcome: (await done.innerText()).split(' ')[0] as string }
  }

  hop(attributes: Partial<DrawnHop>) {
    const selector = Object.entries(attributes).map(([name, value]) => `[data-${name}="${value}"]`)
    return this.page.locator(`.hop${selector.join('')}`)
  }

  hops(): Promise<DrawnHop[]> {
    return this.page.locator('.hop').evaluateAll((hops) =>
      hops.map((hop) => ({
        kind: hop.getAttribute('data-kind') ?? '',
        service: hop.getAttribute('data-service') ?? '',
        peer: hop.getAttribute('data-peer') ?? '',
        path: hop.getAttribute('data-path') ?? '',
        status: hop.getAttribute('data-status') ?? '',
        verdict: hop.getAttribute('data-verdict') ?? '',
      })),
    )
  }
}

/** What the services wrote into their own logs about the requests of a trace: `service-b GET /scenario1-server 200`. */
export function loggedRequests(suite: TestSuite, trace: string): string[] {
  return suite.lines.flatMap((line) => {
    if (!line.includes(trace)) return []
    const entry = JSON.parse(line.slice(line.indexOf('{'))) as Record<string, unknown>
    return entry.msg === 'request' ? [`${entry.service} ${entry.method} ${entry.path} ${entry.status}`] : []
  })
}
