// @ts-check

/** @typedef {{ trace: string, scenario?: number, fault?: string }} Place what is looked at; `trace` is empty before a run. */

/** W3C Trace Context; all zeros is not one. */
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/

/** @param {string} trace */
export const isTraceId = (trace) => TRACE_ID.test(trace)

/** @returns {Place} what the address says. */
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
 * Makes the address say what is looked at: `push` for a step of the user, so that Back leads to the run before, `replace`
 * for what the page has found out itself.
 * @param {Place} place
 * @param {'push' | 'replace'} how
 */
export function writeAddress(place, how) {
  const address = addressOf(place)
  if (address === location.pathname + location.search) return
  if (how === 'push') history.pushState(null, '', address)
  else history.replaceState(null, '', address)
}
