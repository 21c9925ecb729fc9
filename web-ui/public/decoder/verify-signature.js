import { inWords, visible } from './json-text.js'
import { readBase64url, writeBase64url } from './read-token.js'

/** Reports why a string is not a key that could verify this token. */
export class NotAKey extends Error {}

/**
 * @typedef {object} Algorithm
 * @property {string} kty
 * @property {RsaHashedImportParams | EcKeyImportParams | AlgorithmIdentifier} import
 * @property {RsaPssParams | EcdsaParams | AlgorithmIdentifier} verify
 */

/** @param {string} hash @returns {Algorithm} */
const pkcs1 = (hash) => ({
  kty: 'RSA',
  import: { name: 'RSASSA-PKCS1-v1_5', hash },
  verify: 'RSASSA-PKCS1-v1_5',
})
/** @param {string} hash @param {number} saltLength @returns {Algorithm} */
const pss = (hash, saltLength) => ({
  kty: 'RSA',
  import: { name: 'RSA-PSS', hash },
  verify: { name: 'RSA-PSS', saltLength },
})
/** @param {string} hash @param {string} namedCurve @returns {Algorithm} */
const ecdsa = (hash, namedCurve) => ({
  kty: 'EC',
  import: { name: 'ECDSA', namedCurve },
  verify: { name: 'ECDSA', hash },
})
/** @type {Algorithm} */
const ed25519 = { kty: 'OKP', import: 'Ed25519', verify: 'Ed25519' }

/**
 * RFC 7518 §3.1, RFC 8037, RFC 9864. No other algorithm is accepted, so a token cannot choose a weaker one.
 * @type {ReadonlyMap<unknown, Algorithm>}
 */
const ALGORITHMS = new Map([
  ['RS256', pkcs1('SHA-256')],
  ['RS384', pkcs1('SHA-384')],
  ['RS512', pkcs1('SHA-512')],
  ['PS256', pss('SHA-256', 32)],
  ['PS384', pss('SHA-384', 48)],
  ['PS512', pss('SHA-512', 64)],
  ['ES256', ecdsa('SHA-256', 'P-256')],
  ['ES384', ecdsa('SHA-384', 'P-384')],
  ['ES512', ecdsa('SHA-512', 'P-521')],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
])

/**
 * Verifies the token's signature with a public key. The key stays in the page.
 * @param {import('./read-token.js').Token} token
 * @param {string} keyText a JWK, a JWKS, a PEM, or jwt-factory's JSON answer with a PEM
 * @returns {Promise<import('./judge-token.js').Finding>}
 */
export async function verifySignature(token, keyText) {
  /** @param {'pass' | 'fail' | 'open'} verdict @param {string} detail */
  const finding = (verdict, detail) =>
    /** @type {const} */ ({ name: 'signature', verdict, detail: visible(detail), rule: 'RFC 7515 §5.2' })
  if (keyText.trim() === '') return finding('open', 'Enter the issuer’s public key to verify the signature.')
  const { alg, kid } = token.header
  const algorithm = ALGORITHMS.get(alg)
  if (!algorithm) return finding('fail', `This page does not support the algorithm ${inWords(alg)}.`)
  // Browsers offer Web Crypto only in secure contexts.
  if (!globalThis.crypto?.subtle)
    return finding('open', 'Browsers verify signatures only on HTTPS pages and on localhost.')
  try {
    const key = await importKey(keyText, algorithm, kid)
    const good = await crypto.subtle.verify(algorithm.verify, key, token.signature, token.signedBytes)
    return good
      ? finding('pass', 'The signature matches this key.')
      : finding('fail', 'The signature does not match: the token was changed, or another key signed it.')
  } catch (error) {
    return finding(
      'fail',
      error instanceof NotAKey ? error.message : `This key cannot verify ${String(alg)} signatures.`,
    )
  }
}

/**
 * @param {string} text
 * @param {Algorithm} algorithm
 * @param {unknown} kid
 */
async function importKey(text, algorithm, kid) {
  const found = text.trim().startsWith('{') ? fromJson(text, algorithm.kty, kid) : text.trim()
  if (typeof found === 'object') {
    if (found.d !== undefined || found.k !== undefined)
      throw new NotAKey('This is a private key. Never paste a private key; use the public key.')
    // `alg` and `use` are left out: the algorithm is chosen above, and Web Crypto would reject a key of another use.
    const { kty, n, e, crv, x, y } = /** @type {JsonWebKey} */ (found)
    const members = Object.entries({ kty, n, e, crv, x, y }).filter(([, value]) => value !== undefined)
    const jwk = /** @type {JsonWebKey} */ (Object.fromEntries(members))
    return crypto.subtle.importKey('jwk', jwk, algorithm.import, false, ['verify'])
  }
  return crypto.subtle.importKey('spki', spki(found), algorithm.import, false, ['verify'])
}

/**
 * @param {string} text
 * @param {string} kty
 * @param {unknown} kid
 * @returns {Record<string, unknown> | string}
 */
function fromJson(text, kty, kid) {
  let value
  try {
    value = JSON.parse(text)
  } catch {
    throw new NotAKey('The key is not valid JSON.')
  }
  // `curl localhost:5555/utils/publicKey/servicea`
  if (typeof value.publicKey === 'string') return value.publicKey
  if (!Array.isArray(value.keys)) return value
  const named = value.keys.filter(
    (/** @type {{ kid?: unknown }} */ key) => key?.kid === kid && kid !== undefined,
  )
  const possible =
    kid === undefined ? value.keys.filter((/** @type {{ kty?: unknown }} */ key) => key?.kty === kty) : named
  if (possible.length === 1) return possible[0]
  throw new NotAKey(
    kid === undefined
      ? `The token has no kid, and ${possible.length} keys of the set could match.`
      : `The key set has no key with the kid ${inWords(kid)}.`,
  )
}

/** DER of RSA's AlgorithmIdentifier (RFC 8017 §A.1). */
const RSA_IDENTIFIER = [
  0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
]

/**
 * @param {string} text a PEM, or a PEM in base64
 * @returns {Uint8Array<ArrayBuffer>}
 */
function spki(text) {
  const pem = /-----BEGIN/.test(text) ? text : decodeText(text)
  const match = /-----BEGIN ([A-Z ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/.exec(pem)
  if (!match) throw new NotAKey('This is neither a JWK nor a PEM.')
  const [, label, body = ''] = match
  if (label?.includes('PRIVATE'))
    throw new NotAKey('This is a private key. Never paste a private key; use the public key.')
  const der = readBase64url(body.replace(/[\s=]/g, '').replaceAll('+', '-').replaceAll('/', '_'), 'key')
  if (label === 'PUBLIC KEY') return der
  if (label === 'RSA PUBLIC KEY') {
    const bits = tagged(0x03, [0x00, ...der])
    return Uint8Array.from(tagged(0x30, [...RSA_IDENTIFIER, ...bits]))
  }
  throw new NotAKey(
    `A ${label} is not a public key. Extract one from a certificate with: openssl x509 -noout -pubkey`,
  )
}

/**
 * Encodes one DER element (X.690 §8.1).
 * @param {number} tag
 * @param {readonly number[]} content
 */
function tagged(tag, content) {
  const size = content.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return [tag, ...length, ...content]
}

/** @param {string} text */
function decodeText(text) {
  try {
    return atob(text)
  } catch {
    throw new NotAKey('This is neither a JWK nor a PEM.')
  }
}

/**
 * Makes an example token and its public key.
 * @param {{ expired?: boolean, tampered?: boolean }} options
 * @returns {Promise<{ token: string, key: string }>}
 */
export async function exampleToken({ expired = false, tampered = false } = {}) {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const kid = writeBase64url(crypto.getRandomValues(new Uint8Array(6)))
  const iat = Math.floor(Date.now() / 1000) - (expired ? 600 : 0)
  const claims = {
    iss: 'https://jwt-factory/',
    sub: 'servicea',
    aud: 'serviceb',
    iat,
    exp: iat + 300,
    jti: crypto.randomUUID(),
  }
  /** @param {object} part */
  const encode = (part) => writeBase64url(new TextEncoder().encode(JSON.stringify(part)))
  const input = `${encode({ alg: 'ES256', typ: 'JWT', kid })}.${encode(claims)}`
  const signature = await crypto.subtle.sign(
    { name: 'ECDSA', hash: 'SHA-256' },
    pair.privateKey,
    new TextEncoder().encode(input),
  )
  const [header] = input.split('.')
  const shown = tampered ? `${header}.${encode({ ...claims, sub: 'mallory' })}` : input
  const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
  return {
    token: `${shown}.${writeBase64url(new Uint8Array(signature))}`,
    key: JSON.stringify({ kty, crv, x, y, kid, alg: 'ES256', use: 'sig' }, null, 2),
  }
}
