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
 * @property {string} [title]
 * @property {boolean} [running]
 * @property {readonly string[]} [lanes] who is known to take part, before anybody has told.
 * @property {{ curl: string, answer: unknown, status: number, durationMs: number }} [result]
 */

/**
 * What became of a run, as its answer says: for each callee where there are several.
 * @param {Run} run
 * @returns {{ accepted: boolean, words: string, why: string | undefined } | undefined} `undefined` while it runs.
 */
export function verdictOf({ result }) {
  if (!result) return undefined
  const { status, answer } = result
  const legs = Object.entries(Object(answer)).flatMap(([name, leg]) => {
    const callee = /^service([bc])$/i.exec(name)?.[1]
    return callee && typeof Object(leg).valid === 'boolean' ? [{ callee: callee.toUpperCase(), leg }] : []
  })
  if (legs.length === 0) {
    const accepted = status === 200 && Object(answer).valid !== false
    return { accepted, words: accepted ? 'accepted' : 'refused', why: accepted ? undefined : whyOf(answer) }
  }
  const named = (/** @type {boolean} */ valid) =>
    legs
      .filter(({ leg }) => leg.valid === valid)
      .map(({ callee }) => callee)
      .join(' and ')
  const words = [
    ...(named(false) ? [`refused by ${named(false)}`] : []),
    ...(named(true) ? [`accepted by ${named(true)}`] : []),
  ].join(', ')
  const refused = legs.find(({ leg }) => !leg.valid)
  return { accepted: !refused, words, why: refused && whyOf(refused.leg) }
}

/** Whether anybody has refused, as far as the hops tell. @param {Run} run */
export const hasRefusal = ({ hops }) =>
  hops.some(({ verdict, status }) => verdict === 'refused' || status === 401 || status === 403)

/**
 * In the words of whoever refused.
 * @param {any} answer
 * @returns {string | undefined}
 */
const whyOf = (answer) => answer?.error?.message ?? answer?.message

/**
 * What a run is called that this page has not begun, or not since it was loaded: told by what was asked first.
 * @param {Run} run
 */
export function titleOf(run) {
  const hops = [...run.hops].sort((a, b) => a.startedAt - b.startedAt)
  const asked = hops.find(({ kind, service }) => kind === 'call' && service === 'web-ui')
  if (asked) return titleOfPath(asked.path ?? '')
  const requests = hops.filter(({ kind }) => kind === 'request')
  const first = requests.find(({ path }) => path?.startsWith('/scenario')) ?? requests[0]
  return first ? `${first.service} ${first.path}` : 'A request'
}

/** @param {string} path */
function titleOfPath(path) {
  const [, number, fault] = /^\/scenario(\d)(?:\?fault=([\w-]+))?/.exec(path) ?? []
  if (number === undefined) return path === '/' ? 'Scenario 6' : 'Scenario 7'
  const made = path.includes('audience=')
    ? 'wrong-audience'
    : /expired=[1-9t]/.test(path)
      ? 'expired'
      : undefined
  return runTitle(Number(number), fault ?? made)
}

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
  return hops
    .filter(({ kind, parentId }) => kind !== 'request' || parentId === undefined || !calls.has(parentId))
    .map((hop) => (hop.kind === 'call' ? { ...hop, peer: called.get(hop.spanId) ?? hop.peer ?? '' } : hop))
    .sort((a, b) => placeOf(a, hops) - placeOf(b, hops) || depth(a, hops) - depth(b, hops))
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
    return `${hop.service} ${hop.verdict} the token${hop.reason ? `: ${hop.reason}` : ''}`
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
