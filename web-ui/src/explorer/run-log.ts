import type { Run } from './run.ts'

/** As many as a page keeps (web-ui/public/explorer.js); responses have at most 64 KiB, so all runs at most 6.4 MB. */
const MAX_RUNS = 100

/** A run that has started; `result` is added when it has ended. */
export interface LoggedRun extends Pick<Run, 'traceId' | 'scenario' | 'fault' | 'curl'> {
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly result?: Pick<Run, 'status' | 'answer' | 'durationMs' | 'curl'>
}

/**
 * The last runs of the explorer by trace ID, with their results, for a reloaded page, another tab, or a link by trace
 * ID. In memory: after a restart only the hops remain.
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

  /** Stores the result of a run, unless the run has been dropped meanwhile. */
  end(traceId: string, result: NonNullable<LoggedRun['result']>): void {
    const run = this.#runs.get(traceId)
    if (run) this.#runs.set(traceId, { ...run, result })
  }

  /** Returns the runs, newest first. */
  list(): LoggedRun[] {
    return [...this.#runs.values()].reverse()
  }
}
