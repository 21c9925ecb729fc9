// @ts-check
import { runTitle } from './explorer-scenarios.js'

/**
 * @typedef {object} Hop
 * @property {'request' | 'call' | 'verification' | 'event'} kind
 * @property {string} traceId
 * @property {string} spanId
 * @property {string} [parentId]
 * @property {string} service
 * @property {string} [peer]
 * @property {string} [method]
 * @property {string} [path]
 * @property {number} [status]
 * @property {number} startedAt
 * @property {number} durationMs
 * @property {{ header: Record<string, unknown>, claims: Record<string, unknown> }} [token]
 * @property {{ name: string, passed: boolean, rule: string, detail?: string }[]} [checks]
 * @property {'accepted' | 'refused'} [verdict]
 * @property {string} [reason]
 * @property {string} [message]
 * @property {string} [requestBody]
 * @property {string} [answerBody]
 *
 * @typedef {object} Run
 * @property {string} traceId
 * @property {number} startedAt
 * @property {Hop[]} hops
 * @property {number} [scenario] of a run of this web UI.
 * @property {string} [fault]
 * @property {boolean} [running]
 * @property {boolean} [settled] whether hops that are still missing will hardly come.
 * @property {boolean} [foreign] whether nothing but its hops is known, yet.
 * @property {{ curl?: string, answer: unknown, status: number, durationMs: number }} [result]
 */

/**
 * What a run is called: by its scenario and fault where they are known, otherwise by what was requested first.
 * @param {Run} run
 */
export function titleOf({ scenario, fault, hops }) {
  if (scenario !== undefined) return runTitle(scenario, fault)
  const requests = hops.filter(({ kind }) => kind === 'request').sort((a, b) => a.startedAt - b.startedAt)
  const first = requests.find(({ path }) => path?.startsWith('/scenario')) ?? requests[0]
  return first ? `${first.service} ${first.path}` : 'A request'
}

/**
 * The scenario and the fault of a run that the web UI began before it was started again, as its calls show them.
 * @param {Hop[]} hops
 * @returns {{ scenario?: number, fault?: string }}
 */
export function scenarioIn(hops) {
  const calls = hops.filter(({ kind, service }) => kind === 'call' && service === 'web-ui')
  if (calls.length === 0) return {}
  const { path = '' } = calls.find(({ path }) => path?.startsWith('/scenario')) ?? {}
  const number = /^\/scenario(\d)/.exec(path)?.[1]
  const made = path.includes('audience=') ? 'wrong-audience' : /[?&]fault=([\w-]+)/.exec(path)?.[1]
  if (number !== undefined) return { scenario: Number(number), ...(made ? { fault: made } : {}) }
  const scenario = calls.some(({ peer }) => peer === 'token-cache-load-balancer') ? 6 : 7
  const fault = FAULT_OF[stepsOf(hops).find(({ verdict }) => verdict === 'refused')?.reason ?? '']
  return { scenario, ...(fault ? { fault } : {}) }
}

/** By which reason each fault is refused where the request itself does not name it. */
const FAULT_OF = /** @type {Readonly<Record<string, string>>} */ ({
  expired: 'expired',
  audience_mismatch: 'wrong-audience',
  key_unknown: 'wrong-key',
  signature_invalid: 'tampered',
  no_token: 'no-token',
  no_identity: 'no-token',
})

/** @param {Hop} hop */
export const keyOf = ({ kind, spanId, service }) => `${kind} ${spanId} ${service}`

/**
 * Calls and verifications in their order. The request that a call caused is the same hop, told by its
 * other end, so it is left out unless nobody told of the call; but it knows best who was called.
 * @param {Hop[]} hops
 */
export function stepsOf(hops) {
  const calls = new Set(hops.filter(({ kind }) => kind === 'call').map(({ spanId }) => spanId))
  const called = new Map(
    hops.flatMap(({ kind, parentId, service }) =>
      kind === 'request' && parentId !== undefined ? [[parentId, service]] : [],
    ),
  )
  return [...hops, ...refusedRequests(hops)]
    .filter(({ kind, parentId }) => kind !== 'request' || parentId === undefined || !calls.has(parentId))
    .map((hop) => (hop.kind === 'call' ? { ...hop, peer: called.get(hop.spanId) ?? hop.peer ?? '' } : hop))
    .sort((a, b) => placeOf(a, hops) - placeOf(b, hops) || depth(a, hops) - depth(b, hops))
}

/** Ends the span of a verdict on the request itself. */
const REQUEST = '.request'

/** The rule by which a request is refused that no verifier has judged the token of. */
const REQUEST_CHECKS = /** @type {Readonly<Record<string, NonNullable<Hop['checks']>[number]>>} */ ({
  no_token: {
    name: 'credentials',
    passed: false,
    rule: 'RFC 6750 §3.1',
    detail: 'the request contains no bearer token',
  },
  insufficient_scope: { name: 'scope', passed: false, rule: 'RFC 6750 §3.1' },
})

/**
 * A request that is refused before its token is verified, because there is none, or after, is a verdict, too.
 * @param {Hop[]} hops
 * @returns {Hop[]}
 */
function refusedRequests(hops) {
  const judged = new Set(
    hops.filter(({ verdict }) => verdict === 'refused').map(({ spanId, service }) => `${spanId} ${service}`),
  )
  return hops.flatMap(({ kind, status, reason, method, path, ...hop }) => {
    const refused = kind === 'request' && (status === 401 || status === 403) && reason !== undefined
    if (!refused || judged.has(`${hop.spanId} ${hop.service}`)) return []
    const check = REQUEST_CHECKS[reason]
    const checks = check ? [check] : []
    return [
      { ...hop, kind: 'verification', spanId: hop.spanId + REQUEST, verdict: 'refused', reason, checks },
    ]
  })
}

/**
 * When a hop stands in the picture: when it began; but a verdict for which somebody else was asked, when it fell.
 * @param {Hop} hop
 * @param {Hop[]} hops
 */
function placeOf({ kind, spanId, service, startedAt, durationMs }, hops) {
  // Begins are known to the millisecond alone.
  const end = startedAt + durationMs + 1
  const asked = hops.some(
    (hop) =>
      hop.kind === 'call' &&
      hop.service === service &&
      hop.parentId === spanId &&
      hop.startedAt >= startedAt &&
      hop.startedAt + hop.durationMs <= end,
  )
  return kind === 'verification' && asked ? end - 1 : startedAt
}

/**
 * @param {Hop} hop
 * @param {Hop[]} hops
 * @returns {number}
 */
function depth(hop, hops) {
  const parent = hops.find(({ spanId, kind }) => spanId === hop.parentId && kind !== 'verification')
  return parent && parent !== hop ? 1 + depth(parent, hops) : 0
}

/**
 * @param {Hop[]} steps
 * @param {readonly string[]} known
 */
export function lanesOf(steps, known) {
  const names = new Set([...(steps.some(({ kind }) => kind === 'request') ? ['you'] : []), ...known])
  for (const { service, peer } of steps) {
    names.add(service)
    if (peer) names.add(laneName(peer))
  }
  return [...names]
}

/** Peers are called by their audience (`serviceb`), services tell by their process (`service-b`). @param {string} name */
export const laneName = (name) => name.replace(/^service([abc])$/, 'service-$1')

/** From whom an arrow goes to whom. @param {Hop} hop @returns {[string, string]} */
export function endsOf({ kind, service, peer = '' }) {
  if (kind === 'call') return [service, laneName(peer)]
  if (kind === 'event') return [laneName(peer), service]
  return ['you', service]
}

/** @param {Hop} hop */
export function sentence(hop) {
  const ms = `${hop.durationMs.toFixed(1)} milliseconds`
  if (hop.kind === 'verification')
    return `${hop.service} ${hop.verdict} the ${hop.spanId.endsWith(REQUEST) ? 'request' : 'token'}${hop.reason ? `: ${hop.reason}` : ''}`
  if (hop.kind === 'event')
    return `${hop.peer} sends ${hop.service} the event ${hop.path}${hop.reason ? `: ${hop.reason}` : ''}`
  if (hop.kind === 'call')
    return `${hop.service} calls ${hop.peer}: ${hop.method} ${hop.path}, ${hop.status ?? hop.reason}, ${ms}`
  return `${hop.service} takes ${hop.method} ${hop.path}, ${hop.status}, ${ms}`
}

/** What would end a statement, start another or be taken for a tag, as Mermaid's code for it. @param {unknown} text */
const plain = (text) =>
  String(text).replace(/[#;&<>"`\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (sign) => `#${sign.codePointAt(0)};`)

/** @param {Hop[]} steps */
export function toMermaid(steps) {
  const id = (/** @type {string} */ name) => name.replace(/\W/g, '_')
  const lines = steps.map((hop) => {
    if (hop.kind === 'verification')
      return `  Note over ${id(hop.service)}: ${hop.verdict === 'accepted' ? 'token accepted' : `refused (${plain(hop.reason)})`}`
    const [from, to] = endsOf(hop)
    if (hop.kind === 'event')
      return `  ${id(from)}-->>${id(to)}: ${plain(hop.path)}${hop.reason ? ` (${plain(hop.reason)})` : ''}`
    return `  ${id(from)}->>${id(to)}: ${plain(hop.method)} ${plain(hop.path)} (${plain(hop.status ?? hop.reason)})`
  })
  return ['sequenceDiagram', ...lines].join('\n')
}
