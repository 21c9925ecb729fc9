import type { Run } from './run.ts'

/** As many as a page keeps (web-ui/public/explorer.js); an answer has at most 64 KiB, so all of them at most 6.4 MB. */
const MAX_RUNS = 100

/** A run that has begun; `result` follows when it is over. */
export interface LoggedRun extends Pick<Run, 'traceId' | 'scenario' | 'fault' | 'curl'> {
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly result?: Pick<Run, 'status' | 'answer' | 'durationMs' | 'curl'>
}

/**
 * The last runs of the explorer by trace id, each with its own answer: what a page that is loaded again, another tab or a
 * link by trace id shows. In memory; after a restart the hops are all that is left.
 */
export class RunLog {
  readonly #runs = new Map<string, LoggedRun>()

  has(traceId: string): boolean {
    return this.#runs.has(traceId)
  }

  begin(run: LoggedRun): void {
    this.#runs.set(run.traceId, run)
    const [oldest] = this.#runs.keys()
    if (this.#runs.size > MAX_RUNS && oldest !== undefined) this.#runs.delete(oldest)
  }

  /** Files a result; one that outlives its place in the log is dropped. */
  end(traceId: string, result: NonNullable<LoggedRun['result']>): void {
    const run = this.#runs.get(traceId)
    if (run) this.#runs.set(traceId, { ...run, result })
  }

  /** The runs, newest first. */
  list(): LoggedRun[] {
    return [...this.#runs.values()].reverse()
  }
}
