import { expect } from '@jest/globals'
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
  readonly reason: string
  /** Of the token that was verified. */
  readonly jti: string
}

/** What the page says of a run. */
export interface DrawnRun {
  readonly trace: string
  readonly outcome: string
  readonly why: string
}

/** A refusal is not complete without its reason. */
const OUTCOME =
  /^(accepted[^:]*(?= after \d+ ms$)|(?:rejected|failed)[^:]*(?= after \d+ ms: )) after \d+ ms(?:: (.+))?$/

/** A request as the service that took it has logged it. */
interface LoggedRequest {
  readonly service: string
  readonly line: string
  readonly status: number
  readonly jti: string | undefined
  readonly reason: string | undefined
}

/** Logs are written when an answer is through, and a stream's when it is over. */
const LOG_MS = 5_000
/** They log the token that they make or pass on, not one that they have verified. */
const NO_VERIFIERS = ['token-cache-auth', 'token-cache-proxy']

/** The explorer as a test uses it: runs scenarios, and reads what was drawn. */
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

  /** Runs a scenario and answers with its trace id, its outcome, e.g. `rejected by C, accepted by B`, and the reason. */
  async run(scenario: number, fault = ''): Promise<DrawnRun> {
    const card = this.page.locator(`[data-scenario="${scenario}"]`)
    await card.locator('select').selectOption(fault)
    const [request] = await Promise.all([
      this.page.waitForRequest((sent) => {
        if (!sent.url().endsWith('/explorer/runs')) return false
        const body = sent.postDataJSON()
        return body.scenario === scenario && (body.fault ?? '') === fault
      }),
      // Not by the mouse: a page has one, and runs are begun side by side.
      card.getByRole('button').dispatchEvent('click'),
    ])
    const done = card.locator('.outcome').filter({ hasText: OUTCOME })
    await done.waitFor()
    const [, outcome = '', why = ''] = OUTCOME.exec(await done.innerText()) ?? []
    return { trace: request.postDataJSON().traceId, outcome, why }
  }

  /** Opens a run from the list of runs, and answers when it is drawn. */
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

  /** Each verdict that is drawn, e.g. `service-b refused expired`, in the order of the alphabet. */
  async verdicts(): Promise<string[]> {
    return (await this.hops())
      .filter(({ kind }) => kind === 'verification')
      .map(({ service, verdict, reason }) => `${service} ${verdict} ${reason}`.trim())
      .sort()
  }

  /**
   * What is drawn is what the services wrote into their own logs, no request more and none less, and each verdict is
   * the one that the log of its service has: the reason of the refusal, or the id of the token that was let in.
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

/** The request that a drawn arrow stands for, as its receiver logs it: `service-b GET /scenario1-server 200`. */
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

/** What the services wrote into their own logs about the requests of a trace. */
function loggedRequests(suite: TestSuite, trace: string): LoggedRequest[] {
  return suite.lines.flatMap((text) => {
    if (!text.includes(trace)) return []
    const { service, method, path, status, jti, reason, msg } = JSON.parse(text.slice(text.indexOf('{')))
    return msg === 'request'
      ? [{ service, line: `${service} ${method} ${path} ${status}`, status, jti, reason }]
      : []
  })
}
