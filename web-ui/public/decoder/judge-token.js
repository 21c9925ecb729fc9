import { inWords, lossIn, visible } from './json-text.js'

/**
 * One thing that a verifier would look at. `open` where nobody has said what is expected.
 * @typedef {object} Finding
 * @property {string} name
 * @property {'pass' | 'fail' | 'open'} verdict
 * @property {string} detail
 * @property {string} rule
 */

/**
 * @typedef {object} Expectations
 * @property {string} issuer empty: not said
 * @property {string} audience empty: not said
 */

const ASYMMETRIC = /^(RS|PS|ES)(256|384|512)$|^EdDSA$|^Ed25519$/
const EMBEDDED_KEYS = ['jku', 'jwk', 'x5u', 'x5c']
/** What lives longer is a password that somebody else has chosen. */
const LONG_LIFE_S = 24 * 3600

/**
 * Everything about a token that can be judged without a key, in the order in which a verifier looks.
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
 * @param {boolean | undefined} good `undefined`: open
 * @param {string} detail
 * @returns {Finding}
 */
const finding = (name, rule, good, detail) => ({
  name,
  rule,
  // Most of it quotes the token.
  detail: visible(detail),
  verdict: good === undefined ? 'open' : good ? 'pass' : 'fail',
})

/** @param {import('./read-token.js').Token['texts']} texts */
function form({ header, claims }) {
  const loss = lossIn(header) ?? lossIn(claims)
  return loss === undefined ? undefined : finding('form', 'RFC 8259 §4, §6', false, loss)
}

/** @param {unknown} alg */
function algorithm(alg) {
  const rule = 'RFC 8725 §3.1'
  if (typeof alg !== 'string') return finding('algorithm', rule, false, 'The header names none.')
  if (alg.toLowerCase() === 'none')
    return finding('algorithm', rule, false, 'none: anybody can have written this.')
  if (/^HS\d+$/.test(alg))
    return finding(
      'algorithm',
      rule,
      false,
      `${alg}: whoever can verify this can also sign in the issuer’s name.`,
    )
  if (!ASYMMETRIC.test(alg))
    return finding('algorithm', rule, false, `${alg} is not an algorithm for signatures.`)
  return finding('algorithm', rule, true, `${alg}; the verifier must insist on it, not the token.`)
}

/** @param {unknown} crit */
const critical = (crit) =>
  crit === undefined
    ? undefined
    : finding(
        'critical',
        'RFC 7515 §4.1.11',
        false,
        `A verifier must know ${JSON.stringify(crit)}, or refuse.`,
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
        `${found}: the token brings, or names, the key to believe it by.`,
      )
}

/** @param {unknown} typ */
function type(typ) {
  const rule = 'RFC 8725 §3.11'
  if (typ === undefined)
    return finding('type', rule, undefined, 'None: any kind of token could be taken for it.')
  return finding('type', rule, undefined, `${inWords(typ)}${TYPES[inWords(typ).toLowerCase()] ?? ''}`)
}

/** @type {Readonly<Record<string, string>>} */
const TYPES = {
  jwt: ': an ID token, or anything else',
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
  if (typeof iss !== 'string' || iss === '')
    return finding('issuer', rule, false, 'The token does not say who made it.')
  if (expected === '') return finding('issuer', rule, undefined, `${iss}; is that whom you trust?`)
  return finding('issuer', rule, iss === expected, iss === expected ? iss : `${iss}, not ${expected}`)
}

/**
 * @param {unknown} aud
 * @param {string} expected
 */
function audience(aud, expected) {
  const rule = 'RFC 7519 §4.1.3'
  const list = Array.isArray(aud) ? aud : aud === undefined ? [] : [aud]
  if (list.length === 0) return finding('audience', rule, false, 'None: it can be used anywhere.')
  const names = list.map(inWords).join(', ')
  if (expected !== '' && !list.includes(expected))
    return finding('audience', rule, false, `${names}, not ${expected}`)
  if (list.length > 1)
    return finding('audience', rule, false, `${names}: each of them can use it at the others.`)
  return finding(
    'audience',
    rule,
    expected === '' ? undefined : true,
    expected === '' ? `${names}; is that you?` : names,
  )
}

/** @param {unknown} sub */
const subject = (sub) =>
  finding(
    'subject',
    'RFC 7519 §4.1.2',
    typeof sub === 'string' && sub !== '',
    typeof sub === 'string' && sub !== '' ? sub : 'The token does not say of whom it speaks.',
  )

/**
 * @param {unknown} exp
 * @param {number} now
 */
function expiry(exp, now) {
  const rule = 'RFC 7519 §4.1.4'
  if (exp === undefined) return finding('expiry', rule, false, 'None: whoever finds it can use it for ever.')
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
        ? `since ${duration(now - nbf)}`
        : `good in ${duration(nbf - now)}`,
  )
}

/**
 * @param {unknown} iat
 * @param {number} now
 */
function issuedAt(iat, now) {
  const rule = 'RFC 7519 §4.1.6'
  if (iat === undefined) return finding('issued at', rule, undefined, 'Not said.')
  if (typeof iat !== 'number')
    return finding('issued at', rule, false, `${JSON.stringify(iat)} is not a number of seconds.`)
  return finding(
    'issued at',
    rule,
    iat <= now,
    iat <= now ? `${duration(now - iat)} ago` : `in ${duration(iat - now)}: a clock is wrong.`,
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
    'RFC 8725 §3.10',
    good,
    life <= 0 ? 'It ended before it began.' : `${duration(life)}${good ? '' : ': a thief has that long.'}`,
  )
}

const UNITS = /** @type {const} */ ([
  ['year', 365.25 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
])

/**
 * A length of time in the unit that a person would use; seconds up to two minutes.
 * @param {number} seconds
 */
export function duration(seconds) {
  const [unit, length] = UNITS.find(([, size]) => seconds >= 2 * size) ?? ['second', 1]
  const count = Math.floor(seconds / length)
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
