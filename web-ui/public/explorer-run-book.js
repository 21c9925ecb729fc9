// @ts-check
import { keyOf, scenarioIn } from './explorer-run.js'

/**
 * @typedef {import('./explorer-run.js').Hop} Hop
 * @typedef {import('./explorer-run.js').Run} Run
 * @typedef {NonNullable<Run['result']>} Result
 * @typedef {{ traceId: string, scenario: number, fault?: string, startedAt: number, result?: Result }} ListedRun as
 *   the web UI keeps it.
 */

/** Runs that are kept on the page; the web UI and the SSE server keep about as many. */
const MAX_RUNS = 50

/**
 * The runs that this page knows. Every hop and every answer is filed by its trace id, so whatever comes late changes its
 * own run and no other.
 */
export class RunBook {
  /** @type {Map<string, Run>} */
  #runs = new Map()

  /** @param {string} traceId */
  get(traceId) {
    return this.#runs.get(traceId)
  }

  /**
   * Files a run of this page.
   * @param {string} traceId
   * @param {number} scenario
   * @param {string | undefined} fault
   * @returns {Run}
   */
  begin(traceId, scenario, fault) {
    return this.#keep({
      traceId,
      hops: [],
      startedAt: Date.now(),
      running: true,
      scenario,
      ...(fault ? { fault } : {}),
    })
  }

  /**
   * Files a hop.
   * @param {Hop} hop
   * @returns {Run | undefined} the run that it has changed: none, when a replay after a reconnect brings a known hop.
   */
  addHop(hop) {
    const run =
      this.#runs.get(hop.traceId) ??
      this.#keep({ traceId: hop.traceId, hops: [], startedAt: hop.startedAt, foreign: true })
    if (run.hops.some((known) => keyOf(known) === keyOf(hop))) return undefined
    run.hops.push(hop)
    if (run.foreign) Object.assign(run, scenarioIn(run.hops))
    return run
  }

  /**
   * Files a run that the web UI lists: of another tab, or from before this page was loaded.
   * @param {ListedRun} listed
   */
  addListed({ traceId, scenario, fault, startedAt, result }) {
    const run = this.#runs.get(traceId) ?? this.#keep({ traceId, hops: [], startedAt })
    // An answer that this page has waited for in vain is known there all the same.
    const waited = run.result === undefined || run.result.status === 0
    Object.assign(run, { scenario, ...(fault ? { fault } : {}), foreign: false })
    if (waited) Object.assign(run, result ? { result, running: false } : { running: true })
    return run
  }

  /** The runs that a reader wants to see, newest first. */
  list() {
    return [...this.#runs.values()]
      .reverse()
      .filter(isOfInterest)
      .sort((a, b) => b.startedAt - a.startedAt)
  }

  /** @param {number} scenario @returns {Run | undefined} */
  latestOf(scenario) {
    return this.list().find((run) => run.scenario === scenario)
  }

  /** @param {Run} run */
  #keep(run) {
    this.#runs.set(run.traceId, run)
    if (this.#runs.size <= MAX_RUNS) return run
    // Pages and their files come in dozens, and must not drive out what a user has run.
    const others = [...this.#runs.values()].filter((known) => known !== run && !known.running)
    const oldest =
      others.find((known) => !isOfInterest(known)) ?? others.sort((a, b) => a.startedAt - b.startedAt)[0]
    if (oldest) this.#runs.delete(oldest.traceId)
    return run
  }
}

/**
 * Pages, pictures, probes and key sets are requests too, but no token has a part in them.
 * @param {Run} run
 */
export function isOfInterest(run) {
  return (
    run.scenario !== undefined ||
    run.hops.some(
      ({ kind, path = '' }) =>
        kind === 'verification' || (kind === 'request' && path.startsWith('/scenario')),
    )
  )
}
