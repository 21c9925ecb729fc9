import { expect } from '@jest/globals'
import type { Page } from 'playwright-core'
import type { TestSuite } from '../scripts/test-suite.ts'

/** A hop as drawn by the page. */
export interface DrawnHop {
  readonly kind: string
  readonly service: string
  readonly peer: string
  readonly path: string
  readonly status: string
  readonly verdict: string
  readonly reason: string
  /** The `jti` of the verified token. */
  readonly jti: string
}

/** A run as shown by the page. */
export interface DrawnRun {
  readonly trace: string
  readonly outcome: string
  readonly why: string
}

/** A rejection is complete only with its reason. */
const OUTCOME =
  /^(accepted[^:]*(?= after \d+ ms$)|(?:rejected|failed)[^:]*(?= after \d+ ms: )) after \d+ ms(?:: (.+))?$/

/** A request as logged by the service that received it. */
interface LoggedRequest {
  readonly service: string
  readonly line: string
  readonly status: number
  readonly jti: string | undefined
  readonly reason: string | undefined
}

/** Requests are logged after the answer, streams after their end. */
const LOG_MS = 5_000
/** Services that log a token which they issue or forward, not one which they verified. */
const NO_VERIFIERS = ['token-cache-auth', 'token-cache-proxy']

/** The explorer for tests: runs scenarios and reads what is drawn. */
export class ExplorerPage {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  static async open(page: Page, suite: TestSuite, query = ''): Promise<ExplorerPage> {
    await page.goto(`${suite.url('web-ui')}/explorer${query}`)
    await page.getByText(/^Live: this stream’s token expires/).waitFor()
    return new ExplorerPage(page)
  }

  /** Runs a scenario and returns its trace ID, its outcome, e.g. `rejected by C, accepted by B`, and the reason. */
  async run(scenario: number, fault = ''): Promise<DrawnRun> {
    const card = this.page.locator(`[data-scenario="${scenario}"]`)
    await card.locator('select').selectOption(fault)
    const [request] = await Promise.all([
      this.page.waitForRequest((sent) => {
        // The page also lists its runs, with GET.
        if (sent.method() !== 'POST' || !sent.url().endsWith('/explorer/runs')) return false
        const body = sent.postDataJSON()
        return body.scenario === scenario && (body.fault ?? '') === fault
      }),
      // Not with the mouse: a page has only one, and runs start concurrently.
      card.getByRole('button').dispatchEvent('click'),
    ])
    const done = card.locator('.outcome').filter({ hasText: OUTCOME })
    await done.waitFor()
    const [, outcome = '', why = ''] = OUTCOME.exec(await done.innerText()) ?? []
    return { trace: request.postDataJSON().traceId, outcome, why }
  }

  /** Opens a run from the list of runs and resolves when it is drawn. */
  async show(trace: string): Promise<void> {
    await this.page.evaluate(
      `new Promise((resolve) => {
        document.querySelector('.runs a[data-key="${trace}"]').click()
        requestAnimationFrame(() => requestAnimationFrame(resolve))
      })`,
    )
    expect(new URL(this.page.url()).searchParams.get('trace')).toBe(trace)
  }

  hop(attributes: Partial<DrawnHop>) {
    const selector = Object.entries(attributes).map(([name, value]) => `[data-${name}="${value}"]`)
    return this.page.locator(`.hop${selector.join('')}`)
  }

  hops(): Promise<DrawnHop[]> {
    return this.page.locator('.hop').evaluateAll((hops) =>
      hops.map((hop) => {
        const { kind, service, peer, path, status, verdict, reason, jti } = hop.dataset
        return { kind, service, peer, path, status, verdict, reason, jti } as unknown as DrawnHop
      }),
    )
  }

  /** Returns each drawn verdict, e.g. `service-b refused expired`, sorted. */
  async verdicts(): Promise<string[]> {
    return (await this.hops())
      .filter(({ kind }) => kind === 'verification')
      .map(({ service, verdict, reason }) => `${service} ${verdict} ${reason}`.trim())
      .sort()
  }

  /**
   * Checks that exactly the logged requests are drawn, and that each verdict matches the log of its service: the reason of
   * a rejection, or the ID of an accepted token.
   */
  async agreesWithLogs(suite: TestSuite, trace: string): Promise<void> {
    const deadline = Date.now() + LOG_MS
    for (;;) {
      const logged = loggedRequests(suite, trace)
      const hops = await this.hops()
      try {
        expect(hops.flatMap(requestOf).sort()).toEqual(logged.map(({ line }) => line).sort())
        expect(verdictsDrawn(hops)).toEqual(verdictsLogged(logged))
        return
      } catch (error) {
        if (Date.now() > deadline) throw error
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
}

/** Returns the request of a drawn arrow as its receiver logs it: `service-b GET /scenario1-server 200`. */
function requestOf({ kind, service, peer, path, status }: DrawnHop): string[] {
  if (kind !== 'call' && kind !== 'request') return []
  return [`${kind === 'call' ? peer : service} ${path.split('?')[0]} ${status}`]
}

const verdictsDrawn = (hops: readonly DrawnHop[]) =>
  hops
    .filter(({ kind }) => kind === 'verification')
    .map(
      ({ service, verdict, reason, jti }) => `${service} ${verdict} ${verdict === 'refused' ? reason : jti}`,
    )
    .sort()

const verdictsLogged = (logged: readonly LoggedRequest[]) =>
  logged
    .flatMap(({ service, status, jti, reason }) => {
      if (reason !== undefined) return [`${service} refused ${reason}`]
      const accepted = status < 300 && jti !== undefined && !NO_VERIFIERS.includes(service)
      return accepted ? [`${service} accepted ${jti}`] : []
    })
    .sort()

/** Returns the logged requests of a trace. */
function loggedRequests(suite: TestSuite, trace: string): LoggedRequest[] {
  return suite.lines.flatMap((text) => {
    if (!text.includes(trace)) return []
    const { service, method, path, status, jti, reason, msg } = JSON.parse(text.slice(text.indexOf('{')))
    return msg === 'request'
      ? [{ service, line: `${service} ${method} ${path} ${status}`, status, jti, reason }]
      : []
  })
}
