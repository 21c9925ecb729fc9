// @ts-check

/** @typedef {{ trace: string, scenario?: number, fault?: string }} Place what the page shows; `trace` is empty before a run. */

/** A trace ID as in W3C Trace Context, which excludes all zeros. */
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/

/** @param {string} trace */
export const isTraceId = (trace) => TRACE_ID.test(trace)

/** Reads the place from the address. @returns {Place} */
export function placeInAddress() {
  const query = new URLSearchParams(location.search)
  const scenario = Number(query.get('scenario'))
  const fault = query.get('fault')
  return {
    trace: (query.get('trace') ?? '').trim().toLowerCase(),
    ...(Number.isInteger(scenario) && scenario > 0 ? { scenario } : {}),
    ...(fault ? { fault } : {}),
  }
}

/** @param {Place} place */
export function addressOf({ trace, scenario, fault }) {
  const query = new URLSearchParams()
  if (scenario !== undefined) query.set('scenario', String(scenario))
  if (fault) query.set('fault', fault)
  if (trace) query.set('trace', trace)
  const text = query.toString()
  return text ? `/explorer?${text}` : '/explorer'
}

/**
 * Writes the place to the address: `push` after an action of the user, so that Back returns to the run before;
 * `replace` for what the page finds out itself.
 * @param {Place} place
 * @param {'push' | 'replace'} how
 */
export function writeAddress(place, how) {
  const address = addressOf(place)
  if (address === location.pathname + location.search) return
  if (how === 'push') history.pushState(null, '', address)
  else history.replaceState(null, '', address)
}
