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
 * @property {boolean} [settled] whether no more hops are expected.
 * @property {boolean} [foreign] whether only its hops are known so far.
 * @property {{ curl?: string, answer: unknown, status: number, durationMs: number }} [result]
 */

/**
 * Returns the title of a run: its scenario and fault if known, otherwise its first request.
 * @param {Run} run
 */
export function titleOf({ scenario, fault, hops }) {
  if (scenario !== undefined) return runTitle(scenario, fault)
  const requests = hops.filter(({ kind }) => kind === 'request').sort((a, b) => a.startedAt - b.startedAt)
  const first = requests.find(({ path }) => path?.startsWith('/scenario')) ?? requests[0]
  return first ? `${first.service} ${first.path}` : 'A request'
}

/**
 * Infers scenario and fault from the calls of a run that the web UI started before its last restart.
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

/** The fault for each reason of a rejection, for scenarios whose request does not name the fault. */
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
 * Returns calls and verifications in order. A call and the request that it caused are one hop, reported by both ends:
 * the request is left out unless its caller reports nothing, but it names the called service.
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

/** The suffix of the span ID of a verdict on the request itself. */
const REQUEST = '.request'

/** The failed check of a request that was rejected without verifying a token. */
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
 * Makes a verdict of each request that was rejected before or after the verification of its token, for example because
 * it has none.
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
 * Returns the position of a hop in the diagram: its start, or, for a verdict that needed a call to another service, its
 * end.
 * @param {Hop} hop
 * @param {Hop[]} hops
 */
function placeOf({ kind, spanId, service, startedAt, durationMs }, hops) {
  // Start times have a resolution of one millisecond.
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

/** Maps a peer's audience (`serviceb`) to the name of its process (`service-b`). @param {string} name */
export const laneName = (name) => name.replace(/^service([abc])$/, 'service-$1')

/** Returns the lanes that the arrow of a hop connects. @param {Hop} hop @returns {[from: string, to: string]} */
export function endsOf({ kind, service, peer = '' }) {
  if (kind === 'call') return [service, laneName(peer)]
  if (kind === 'event') return [laneName(peer), service]
  return ['you', service]
}

/** Describes a hop in one sentence. @param {Hop} hop */
export function sentence(hop) {
  const ms = `${hop.durationMs.toFixed(1)} milliseconds`
  if (hop.kind === 'verification')
    return `${hop.service} ${hop.verdict === 'accepted' ? 'accepted' : 'rejected'} the ${hop.spanId.endsWith(REQUEST) ? 'request' : 'token'}${hop.reason ? `: ${hop.reason}` : ''}`
  if (hop.kind === 'event')
    return `${hop.peer} sends ${hop.service} the event ${hop.path}${hop.reason ? `: ${hop.reason}` : ''}`
  if (hop.kind === 'call')
    return `${hop.service} calls ${hop.peer}: ${hop.method} ${hop.path}, ${hop.status ?? hop.reason}, ${ms}`
  return `${hop.service} receives ${hop.method} ${hop.path}, ${hop.status}, ${ms}`
}

/** Escapes characters that Mermaid would read as syntax or HTML. @param {unknown} text */
const plain = (text) =>
  String(text).replace(/[#;&<>"`\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (sign) => `#${sign.codePointAt(0)};`)

/** @param {Hop[]} steps */
export function toMermaid(steps) {
  const id = (/** @type {string} */ name) => name.replace(/\W/g, '_')
  const lines = steps.map((hop) => {
    if (hop.kind === 'verification')
      return `  Note over ${id(hop.service)}: ${hop.verdict === 'accepted' ? 'token accepted' : `rejected (${plain(hop.reason)})`}`
    const [from, to] = endsOf(hop)
    if (hop.kind === 'event')
      return `  ${id(from)}-->>${id(to)}: ${plain(hop.path)}${hop.reason ? ` (${plain(hop.reason)})` : ''}`
    return `  ${id(from)}->>${id(to)}: ${plain(hop.method)} ${plain(hop.path)} (${plain(hop.status ?? hop.reason)})`
  })
  return ['sequenceDiagram', ...lines].join('\n')
}
