// @ts-check
import { laneName, stepsOf } from './explorer-run.js'

/**
 * @typedef {import('./explorer-run.js').Hop} Hop
 * @typedef {import('./explorer-run.js').Run} Run
 *
 * @typedef {object} Verdict
 * @property {'accepted' | 'refused' | 'failed' | 'other'} kind `refused`: a verifier rejected the token, or the request had none;
 *   `failed`: no verdict was reached; `other`: no token was verified.
 * @property {'good' | 'bad' | 'warn' | 'info'} tone
 * @property {string} words `rejected by C, accepted by B`
 * @property {string} [why]
 */

const TONES = /** @type {const} */ ({ accepted: 'good', refused: 'bad', failed: 'warn', other: 'info' })

/** Readable forms of reasons. Any other reason is shown with spaces for underscores. */
const REASONS = /** @type {Readonly<Record<string, string>>} */ ({
  expired: 'the token has expired',
  audience_mismatch: 'wrong audience',
  wrong_audience: 'wrong audience',
  issuer_mismatch: 'wrong issuer',
  subject_mismatch: 'wrong subject',
  key_unknown: 'unknown signing key',
  signature_invalid: 'the signature does not match',
  signature_missing: 'the token is unsigned',
  revoked: 'the token was revoked',
  token_revoked: 'the token was revoked',
  key_withdrawn: 'the key was withdrawn',
  identity_revoked: 'the workload identity was revoked',
  no_token: 'no token',
  no_identity: 'the request names no user',
  blocked: 'an operator has blocked this user',
  insufficient_scope: 'the token lacks a required scope',
})

/** @param {string} reason of a rejection or of a failed call. */
export const reasonWords = (reason) => REASONS[reason] ?? reason.replaceAll('_', ' ')

/**
 * Returns the verdict on a run, from its own answer and hops only.
 * @param {Run} run
 * @returns {Verdict | undefined} `undefined` while there is no verdict.
 */
export function verdictOf(run) {
  const verdict = run.result ? byAnswer(run, run.result) : byHops(run)
  if (verdict?.kind !== 'accepted' || !run.fault) return verdict
  // An accepted bad token must not be shown in green.
  return { ...verdict, tone: 'bad', why: 'this token should have been rejected' }
}

/**
 * @param {Verdict['kind']} kind
 * @param {string} words
 * @param {string | undefined} [why]
 * @returns {Verdict}
 */
const verdict = (kind, words, why) => ({ kind, tone: TONES[kind], words, ...(why ? { why } : {}) })

/**
 * @param {Run} run
 * @param {NonNullable<Run['result']>} result
 * @returns {Verdict}
 */
function byAnswer(run, { status, answer }) {
  if (status === 401 || status === 403) return verdict('refused', 'rejected', whyRefused(run, answer))
  if (status < 200 || status >= 300)
    return verdict('failed', 'failed', messageOf(answer) ?? `the answer is ${status}`)
  const body = Object(answer)
  const legs = Object.entries(body).flatMap(([name, leg]) => {
    const callee = /^service([bc])$/i.exec(name)?.[1]
    return callee && typeof leg === 'object'
      ? [{ callee: callee.toUpperCase(), outcome: outcomeOf(leg), leg }]
      : []
  })
  if (legs.length > 0) return ofLegs(run, legs)
  if ('ended' in body) return ofStream(Object(body.ended).reason)
  const outcome = outcomeOf(body)
  if (outcome === 'refused') return verdict('refused', 'rejected', whyRefused(run, body))
  if (outcome === 'accepted' || run.scenario === 6) return verdict('accepted', 'accepted')
  return verdict('failed', 'failed', 'the answer contains no verdict')
}

/**
 * Returns what a callee decided about its token; `undefined` for one that did not decide.
 * @param {any} leg
 * @returns {'accepted' | 'refused' | undefined}
 */
function outcomeOf({ valid }) {
  if (typeof valid !== 'boolean') return undefined
  return valid ? 'accepted' : 'refused'
}

/**
 * @param {Run} run
 * @param {{ callee: string, outcome: ReturnType<typeof outcomeOf>, leg: any }[]} legs
 * @returns {Verdict}
 */
function ofLegs(run, legs) {
  const named = (/** @type {ReturnType<typeof outcomeOf>} */ wanted) =>
    legs
      .filter(({ outcome }) => outcome === wanted)
      .map(({ callee }) => callee)
      .sort()
      .join(' and ')
  const words = [
    ...(named(undefined) ? [`failed at ${named(undefined)}`] : []),
    ...(named('refused') ? [`rejected by ${named('refused')}`] : []),
    ...(named('accepted') ? [`accepted by ${named('accepted')}`] : []),
  ].join(', ')
  const failed = legs.find(({ outcome }) => outcome === undefined)
  if (failed) return verdict('failed', words, messageOf(failed.leg))
  const refused = legs.find(({ outcome }) => outcome === 'refused')
  return refused ? verdict('refused', words, whyRefused(run, refused.leg)) : verdict('accepted', words)
}

/**
 * Judges a stream by its end reason: token expiry is the expected one.
 * @param {unknown} reason
 */
function ofStream(reason) {
  if (reason === 'token_expired') return verdict('accepted', 'accepted')
  if (reason === 'token_revoked' || reason === 'key_withdrawn')
    return verdict('refused', 'rejected', reasonWords(reason))
  return verdict('failed', 'failed', `the stream was interrupted${reason ? ` (${reason})` : ''}`)
}

/**
 * Returns the reason that the verifier reports. The answer has jsonwebtoken's message, which is the same for several
 * reasons, so it is used only if no verifier's hop arrives.
 * @param {Run} run
 * @param {any} answer
 */
function whyRefused(run, answer) {
  const refusals = stepsOf(run.hops).filter(({ verdict }) => verdict === 'refused')
  const { reason } = refusals.find(({ checks }) => checks && checks.length > 0) ?? refusals[0] ?? {}
  if (reason !== undefined) return reasonWords(reason)
  return run.settled ? messageOf(answer) : undefined
}

/** @param {any} answer @returns {string | undefined} */
const messageOf = (answer) => {
  const message = answer?.error?.message ?? answer?.message
  return typeof message === 'string' ? message.replace(/\.$/, '') : undefined
}

/**
 * Judges a run whose answer this page does not have: it was started with curl, or before the web UI started.
 * @param {Run} run
 * @returns {Verdict | undefined}
 */
function byHops({ hops, running }) {
  if (running) return undefined
  const steps = stepsOf(hops)
  const judged = steps.filter(({ kind }) => kind === 'verification')
  const refused = judged.find(({ verdict, checks }) => verdict === 'refused' && checks?.length)
  const anyRefused = refused ?? judged.find(({ verdict }) => verdict === 'refused')
  if (anyRefused) return verdict('refused', wordsOfCallees(judged), reasonWords(anyRefused.reason ?? ''))
  const stopped = steps.find(({ kind, status }) => kind !== 'event' && (status === 401 || status === 403))
  if (stopped) return verdict('refused', 'rejected')
  const failures = steps.filter(
    ({ kind, status, reason }) =>
      (kind === 'call' || kind === 'request') &&
      ((status ?? 0) >= 300 || (status === undefined && reason !== undefined)),
  )
  // A failure propagates to all callers: its cause is the call without an answer, or the last failed hop.
  const broken = failures.find(({ status }) => status === undefined) ?? failures.at(-1)
  if (broken) return verdict('failed', 'failed', wordsOfFailure(broken))
  const end = hops.find(({ kind, path }) => kind === 'event' && path === 'end')
  if (end) return ofStream(end.reason)
  // A stream is not over with its first answer; any other run is.
  const root = rootOf(hops)
  if (!root || root.peer === 'sse-gateway') return undefined
  if (judged.length > 0) return verdict('accepted', wordsOfCallees(judged))
  return verdict('other', `answered ${root.status}`)
}

/** @param {Hop} hop */
const wordsOfFailure = ({ kind, service, peer = '', status, reason = '' }) => {
  const who = kind === 'call' ? laneName(peer) : service
  return status === undefined ? `${who}: ${reasonWords(reason)}` : `${who} answered ${status}`
}

/**
 * Returns the first hop of a run: the web UI's call, or the request at the first service.
 * @param {Hop[]} hops
 */
function rootOf(hops) {
  const spans = new Set(hops.filter(({ kind }) => kind !== 'verification').map(({ spanId }) => spanId))
  return hops.find(
    ({ kind, parentId, service }) =>
      (kind === 'call' && service === 'web-ui') ||
      (kind === 'request' && (parentId === undefined || !spans.has(parentId)) && service !== 'jwt-factory'),
  )
}

/**
 * Names the callees if both have a verdict: `rejected by C, accepted by B`. A verdict of jwt-factory is not listed.
 * @param {Hop[]} judged
 */
function wordsOfCallees(judged) {
  const of = (/** @type {string} */ wanted) => [
    ...new Set(
      judged.flatMap(({ service, verdict }) => {
        const callee = /^service-([bc])$/.exec(service)?.[1]
        return callee && verdict === wanted ? [callee.toUpperCase()] : []
      }),
    ),
  ]
  const [refused, accepted] = [of('refused').sort(), of('accepted').sort()]
  if (refused.length + accepted.length < 2)
    return judged.some(({ verdict }) => verdict === 'refused') ? 'rejected' : 'accepted'
  return [
    ...(refused.length > 0 ? [`rejected by ${refused.join(' and ')}`] : []),
    ...(accepted.length > 0 ? [`accepted by ${accepted.join(' and ')}`] : []),
  ].join(', ')
}
