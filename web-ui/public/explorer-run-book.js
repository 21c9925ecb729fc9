// @ts-check
import { keyOf, scenarioIn } from './explorer-run.js'

/**
 * @typedef {import('./explorer-run.js').Hop} Hop
 * @typedef {import('./explorer-run.js').Run} Run
 * @typedef {NonNullable<Run['result']>} Result
 * @typedef {{ traceId: string, scenario: number, fault?: string, startedAt: number, result?: Result }} ListedRun as
 *   the web UI stores it.
 */

/** Runs stored in the page; the web UI and the SSE server store about as many. */
const MAX_RUNS = 50

/**
 * The runs that this page knows. Every hop and every answer is filed by its trace ID, so a late one changes only its own
 * run.
 */
export class RunBook {
  /** @type {Map<string, Run>} */
  #runs = new Map()

  /** @param {string} traceId */
  get(traceId) {
    return this.#runs.get(traceId)
  }

  /**
   * Adds a run started by this page.
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
   * Adds a hop to its run.
   * @param {Hop} hop
   * @returns {Run | undefined} the changed run, or undefined for a hop that is already known: a reconnect replays hops.
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
   * Adds a run that the web UI lists: of another tab, or from before this page was loaded.
   * @param {ListedRun} listed
   */
  addListed({ traceId, scenario, fault, startedAt, result }) {
    const run = this.#runs.get(traceId) ?? this.#keep({ traceId, hops: [], startedAt })
    // The web UI may know an answer that this page did not receive in time.
    const waited = run.result === undefined || run.result.status === 0
    Object.assign(run, { scenario, ...(fault ? { fault } : {}), foreign: false })
    if (waited) Object.assign(run, result ? { result, running: false } : { running: true })
    return run
  }

  /** Returns the runs worth listing, newest first. */
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
    // Requests for pages and files are many, and must not displace the user's runs.
    const others = [...this.#runs.values()].filter((known) => known !== run && !known.running)
    const oldest =
      others.find((known) => !isOfInterest(known)) ?? others.sort((a, b) => a.startedAt - b.startedAt)[0]
    if (oldest) this.#runs.delete(oldest.traceId)
    return run
  }
}

/**
 * Returns whether a run is a scenario or has a verified token, unlike requests for pages, probes and key sets.
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
