import { inWords, lossIn, visible } from './json-text.js'

/**
 * The result of one check. `open` if the check needs an expectation or a key that was not entered.
 * @typedef {object} Finding
 * @property {string} name
 * @property {'pass' | 'fail' | 'open'} verdict
 * @property {string} detail
 * @property {string} rule
 */

/**
 * @typedef {object} Expectations
 * @property {string} issuer empty if not entered
 * @property {string} audience empty if not entered
 */

const ASYMMETRIC = /^(RS|PS|ES)(256|384|512)$|^EdDSA$|^Ed25519$/
const EMBEDDED_KEYS = ['jku', 'jwk', 'x5u', 'x5c']
/** A token that is valid for longer is as risky as a password. */
const LONG_LIFE_S = 24 * 3600

/**
 * Makes every check that needs no key, in the order of a verifier.
 * @param {import('./read-token.js').Token} token
 * @param {Expectations} expected
 * @param {number} now seconds since the epoch
 * @returns {Finding[]}
 */
export function judgeToken({ header, claims, texts }, expected, now) {
  return [
    form(texts),
    algorithm(header.alg),
    critical(header.crit),
    embeddedKey(header),
    type(header.typ),
    issuer(claims.iss, expected.issuer),
    notBefore(claims.nbf, now),
    expiry(claims.exp, now),
    audience(claims.aud, expected.audience),
    subject(claims.sub),
    issuedAt(claims.iat, now),
    lifetime(claims.exp, claims.iat),
  ].filter((finding) => finding !== undefined)
}

/**
 * @param {string} name
 * @param {string} rule
 * @param {boolean | undefined} good `undefined` for a verdict of `open`
 * @param {string} detail
 * @returns {Finding}
 */
const finding = (name, rule, good, detail) => ({
  name,
  rule,
  // Details quote the token.
  detail: visible(detail),
  verdict: good === undefined ? 'open' : good ? 'pass' : 'fail',
})

/** @param {import('./read-token.js').Token['texts']} texts */
function form({ header, claims }) {
  const loss = lossIn(header) ?? lossIn(claims)
  return loss === undefined ? undefined : finding('form', 'RFC 7515 §7.1', false, loss)
}

/** @param {unknown} alg */
function algorithm(alg) {
  const rule = 'RFC 8725 §3.1'
  if (typeof alg !== 'string') return finding('algorithm', rule, false, 'The header has no alg.')
  if (alg.toLowerCase() === 'none')
    return finding('algorithm', rule, false, 'none: the token is unsigned, so anyone can forge it.')
  if (/^HS\d+$/.test(alg))
    return finding('algorithm', rule, false, `${alg}: anyone who can verify this token can also forge it.`)
  if (!ASYMMETRIC.test(alg))
    return finding('algorithm', rule, false, `${alg} is not an asymmetric signature algorithm.`)
  return finding('algorithm', rule, true, `${alg}. The verifier, not the token, must choose the algorithm.`)
}

/** @param {unknown} crit */
const critical = (crit) =>
  crit === undefined
    ? undefined
    : finding(
        'critical',
        'RFC 7515 §4.1.11',
        false,
        `A verifier that does not understand ${JSON.stringify(crit)} must reject the token.`,
      )

/** @param {Readonly<Record<string, unknown>>} header */
function embeddedKey(header) {
  const found = EMBEDDED_KEYS.find((name) => header[name] !== undefined)
  return found === undefined
    ? undefined
    : finding(
        'embedded key',
        'RFC 8725 §3.10',
        false,
        `${found}: the token supplies its own verification key.`,
      )
}

/** @param {unknown} typ */
function type(typ) {
  const rule = 'RFC 8725 §3.11'
  if (typ === undefined)
    return finding('type', rule, undefined, 'None: the token can be confused with another kind of token.')
  return finding('type', rule, undefined, `${inWords(typ)}${TYPES[inWords(typ).toLowerCase()] ?? ''}`)
}

/** @type {Readonly<Record<string, string>>} */
const TYPES = {
  jwt: ': an ID token, or any other kind',
  'at+jwt': ': an access token (RFC 9068)',
  'logout+jwt': ': a logout token',
  'wit+jwt': ': a workload identity token (draft)',
  'dpop+jwt': ': a proof of possession (RFC 9449)',
}

/**
 * @param {unknown} iss
 * @param {string} expected
 */
function issuer(iss, expected) {
  const rule = 'RFC 7519 §4.1.1'
  if (typeof iss !== 'string' || iss === '') return finding('issuer', rule, false, 'The token has no issuer.')
  if (expected === '') return finding('issuer', rule, undefined, `${iss}. Enter the issuer that you expect.`)
  return finding('issuer', rule, iss === expected, iss === expected ? iss : `${iss}, not ${expected}`)
}

/**
 * @param {unknown} aud
 * @param {string} expected
 */
function audience(aud, expected) {
  const rule = 'RFC 7519 §4.1.3'
  const list = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]
  if (list.length === 0) return finding('audience', rule, false, 'None: any service may accept the token.')
  const names = list.map(inWords).join(', ')
  if (expected !== '' && !list.includes(expected))
    return finding('audience', rule, false, `${names}, not ${expected}`)
  if (list.length > 1)
    return finding('audience', rule, false, `${names}: each of these can replay the token at the others.`)
  return finding(
    'audience',
    rule,
    expected === '' ? undefined : true,
    expected === '' ? `${names}. Enter the audience that you expect.` : names,
  )
}

/** @param {unknown} sub */
const subject = (sub) =>
  finding(
    'subject',
    'RFC 7519 §4.1.2',
    typeof sub === 'string' && sub !== '',
    typeof sub === 'string' && sub !== '' ? sub : 'The token has no subject.',
  )

/**
 * @param {unknown} exp
 * @param {number} now
 */
function expiry(exp, now) {
  const rule = 'RFC 7519 §4.1.4'
  if (exp === undefined) return finding('expiry', rule, false, 'None: the token never expires.')
  if (typeof exp !== 'number')
    return finding('expiry', rule, false, `${JSON.stringify(exp)} is not a number of seconds.`)
  return finding(
    'expiry',
    rule,
    exp > now,
    exp > now ? `in ${duration(exp - now)}` : `${duration(now - exp)} ago`,
  )
}

/**
 * @param {unknown} nbf
 * @param {number} now
 */
function notBefore(nbf, now) {
  if (nbf === undefined) return undefined
  const good = typeof nbf === 'number' && nbf <= now
  return finding(
    'not before',
    'RFC 7519 §4.1.5',
    good,
    typeof nbf !== 'number'
      ? `${JSON.stringify(nbf)} is not a number of seconds.`
      : good
        ? `${duration(now - nbf)} ago`
        : `in ${duration(nbf - now)}: not valid yet`,
  )
}

/**
 * @param {unknown} iat
 * @param {number} now
 */
function issuedAt(iat, now) {
  const rule = 'RFC 7519 §4.1.6'
  if (iat === undefined) return finding('issued at', rule, undefined, 'None.')
  if (typeof iat !== 'number')
    return finding('issued at', rule, false, `${JSON.stringify(iat)} is not a number of seconds.`)
  return finding(
    'issued at',
    rule,
    iat <= now,
    iat <= now
      ? `${duration(now - iat)} ago`
      : `in ${duration(iat - now)}: this clock or the issuer’s is wrong.`,
  )
}

/**
 * @param {unknown} exp
 * @param {unknown} iat
 */
function lifetime(exp, iat) {
  if (typeof exp !== 'number' || typeof iat !== 'number') return undefined
  const life = exp - iat
  const good = life > 0 && life <= LONG_LIFE_S
  return finding(
    'lifetime',
    'RFC 9068 §2.2',
    good,
    life <= 0
      ? 'exp is not after iat.'
      : `${duration(life)}${good ? '' : ': a stolen token can be used that long.'}`,
  )
}

const UNITS = /** @type {const} */ ([
  ['year', 365.25 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
])

/**
 * Formats a duration in a readable unit; in seconds up to two minutes.
 * @param {number} seconds
 */
export function duration(seconds) {
  const [unit, length] = UNITS.find(([, size]) => seconds >= 2 * size) ?? ['second', 1]
  const count = Math.floor(seconds / length)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
