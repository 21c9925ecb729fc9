import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** A label with a value per key ID or error code; what comes after so many values is counted together. */
const MAX_LABEL_VALUES = 100
/** The label of values beyond the limit. */
const OTHER = 'other'

/** Returns a function that passes the first hundred values, and `other` for all later ones: each value costs memory here and in Prometheus. */
export function boundedLabel(max = MAX_LABEL_VALUES): (value: string) => string {
  const known = new Set<string>()
  return (value) => {
    if (known.has(value)) return value
    if (known.size >= max) return OTHER
    known.add(value)
    return value
  }
}

/** The metrics of one service in their own registry, so that several services can run in one test process. */
export class Metrics {
  readonly registry = new Registry()
  readonly #requests: Histogram<'method' | 'route' | 'status'>
  readonly #refused: Counter<'reason'>
  readonly #reason = boundedLabel()

  constructor(service: string) {
    this.registry.setDefaultLabels({ service })
    this.#requests = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time from the request line to the last byte of the response.',
      labelNames: ['method', 'route', 'status'],
      // Calls over loopback take a millisecond; the timeout of a peer is five seconds.
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers: [this.registry],
    })
    this.#refused = this.counter('requests_refused_total', 'Rejected requests, by reason.', ['reason'])
  }

  /** Counts a rejected request by its reason: the verifier's, or the code of the response. */
  countRefusal(reason: string): void {
    this.#refused.inc({ reason: this.#reason(reason) })
  }

  counter<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.registry] })
  }

  gauge<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Gauge<T> {
    return new Gauge({ name, help, labelNames: [...labelNames], registers: [this.registry] })
  }

  /** Registers a gauge that is read on each scrape; NaN, i.e. unknown, if reading fails. */
  reading(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      async collect() {
        try {
          this.set(await read())
        } catch {
          this.set(Number.NaN)
        }
      },
    })
  }

  observeRequest(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status }, seconds)
  }

  /**
   * Collects process metrics (memory, event loop, garbage collection). They start timers, so tests do not call this.
   */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry })
  }
}
