import type { Metrics } from './metrics.ts'

export type Checks = Readonly<Record<string, () => void | Promise<void>>>

/**
 * What the operator should know although the service is ready, e.g. a changed file that was refused; each returns undefined
 * if there is nothing.
 */
export type Warnings = Readonly<Record<string, () => string | undefined | Promise<string | undefined>>>

export interface ProbeAnswer {
  readonly status: number
  readonly type: string
  readonly text: string
}

export type Probe = () => ProbeAnswer | Promise<ProbeAnswer>

export interface ProbesOptions {
  /** Each must pass for `/readyz` to answer 200; the message of a thrown error is shown. */
  readonly checks?: Checks | undefined
  /** Shown in the body of `/readyz`, whatever its status. */
  readonly warnings?: Warnings | undefined
  /** The port of the metrics, if they have their own: then `/metrics` beside the routes only says so. */
  readonly metricsPort?: number | undefined
}

/** Answers `/healthz`, `/readyz` and `/metrics` for the operator; these requests are not recorded. */
export class Probes {
  /** `stopping` is final. */
  #state: 'starting' | 'ready' | 'stopping' = 'starting'
  readonly #metrics: Metrics
  readonly #checks: Checks
  readonly #warnings: Warnings
  /** By path. */
  readonly answers: ReadonlyMap<string, Probe>

  constructor(metrics: Metrics, { checks = {}, warnings = {}, metricsPort }: ProbesOptions = {}) {
    this.#metrics = metrics
    this.#checks = checks
    this.#warnings = warnings
    this.answers = new Map<string, Probe>([
      ['/healthz', () => json(200, { status: 'ok' })],
      ['/readyz', () => this.#readiness()],
      ['/metrics', () => (metricsPort === undefined ? this.metrics() : METRICS_ELSEWHERE)],
    ])
  }

  ready(): void {
    if (this.#state === 'starting') this.#state = 'ready'
  }

  stopping(): void {
    this.#state = 'stopping'
  }

  /** Answers `/metrics` where the metrics are. */
  async metrics(): Promise<ProbeAnswer> {
    const { registry } = this.#metrics
    return { status: 200, type: registry.contentType, text: await registry.metrics() }
  }

  async #readiness(): Promise<ProbeAnswer> {
    const failed: Record<string, string> = this.#state === 'ready' ? {} : { service: this.#state }
    for (const [check, run] of Object.entries(this.#checks)) {
      try {
        await run()
      } catch (error) {
        failed[check] = (error as Error).message
      }
    }
    const texts = await Promise.all(
      Object.entries(this.#warnings).map(async ([name, ask]) => [name, await ask()] as const),
    )
    const given = texts.filter(([, text]) => text !== undefined)
    const warnings = given.length === 0 ? {} : { warnings: Object.fromEntries(given) }
    if (Object.keys(failed).length === 0) return json(200, { status: 'ready', ...warnings })
    return json(503, { status: 'not ready', failed, ...warnings })
  }
}

const json = (status: number, body: unknown): ProbeAnswer => ({
  status,
  type: 'application/json; charset=utf-8',
  text: JSON.stringify(body),
})

const METRICS_ELSEWHERE = json(404, {
  error: { code: 'metrics_elsewhere', message: 'The metrics are on a port of their own (METRICS_PORT).' },
})
