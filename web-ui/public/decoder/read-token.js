import { isTooDeep, MAX_DEPTH } from './json-text.js'

/** Reads a token without verifying it. Works only in the browser: nothing is sent anywhere. */

/**
 * @typedef {object} Token
 * @property {Readonly<Record<string, unknown>>} header
 * @property {Readonly<Record<string, unknown>>} claims
 * @property {{ readonly header: string, readonly claims: string }} texts the JSON as it was signed
 * @property {Uint8Array<ArrayBuffer>} signature
 * @property {Uint8Array<ArrayBuffer>} signedBytes what the signature covers (RFC 7515 §5.1)
 * @property {readonly [header: string, claims: string, signature: string]} parts
 */

/** Reports why a string is not a token. */
export class NotAToken extends Error {}

/** The longest input that is read. A token that does not fit into a header is of no use. */
const MAX_LENGTH = 64 * 1024

/**
 * Extracts the token from what people paste: with `Authorization: Bearer` before it, in quotes, or broken into lines.
 * @param {string} text
 */
export const cleanToken = (text) =>
  text
    .trim()
    .replace(/^authorization:\s*/i, '')
    .replace(/^bearer\s+/i, '')
    .replace(/^["']|["',;]+$/g, '')
    .replace(/[\r\n]\s*/g, '')

/**
 * Reads a compact JWS.
 * @param {string} text as in RFC 7515 §7.1
 * @returns {Token}
 * @throws {NotAToken}
 */
export function readToken(text) {
  if (text.length > MAX_LENGTH) throw new NotAToken(`The token is longer than ${MAX_LENGTH / 1024} KiB.`)
  const parts = text.split('.')
  if (parts.length === 5)
    throw new NotAToken(
      'This token has five parts: it is encrypted (JWE), and only its recipient can decrypt it.',
    )
  if (parts.length !== 3) throw new NotAToken(`A signed token has three parts; this has ${parts.length}.`)
  const [header, claims, signature] = /** @type {[string, string, string]} */ (parts)
  const [headerPart, claimsPart] = [readPart(header, 'header'), readPart(claims, 'claims')]
  return {
    header: headerPart.value,
    claims: claimsPart.value,
    texts: { header: headerPart.json, claims: claimsPart.json },
    signature: readBase64url(signature, 'signature'),
    signedBytes: new TextEncoder().encode(`${header}.${claims}`),
    parts: [header, claims, signature],
  }
}

/**
 * @param {string} text
 * @param {string} part
 * @returns {{ value: Readonly<Record<string, unknown>>, json: string }}
 */
function readPart(text, part) {
  const bytes = readBase64url(text, part)
  let value
  let json
  try {
    json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    value = JSON.parse(json)
  } catch {
    throw new NotAToken(`The ${part} is not JSON.`)
  }
  if (isTooDeep(json))
    throw new NotAToken(`The ${part} cannot be read: nested too deeply, more than ${MAX_DEPTH} levels.`)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new NotAToken(`The ${part} is not a JSON object.`)
  return { value, json }
}

/**
 * @param {string} text
 * @param {string} part
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function readBase64url(text, part) {
  if (!/^[\w-]*$/.test(text)) throw new NotAToken(`The ${part} contains characters that are not base64url.`)
  if (text.length % 4 === 1) throw new NotAToken(`The ${part} is truncated.`)
  const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) =>
    character.charCodeAt(0),
  )
  if (writeBase64url(bytes) !== text)
    throw new NotAToken(`The ${part} ends in nonzero padding bits: it was changed or truncated.`)
  return bytes
}

/** @param {Uint8Array} bytes */
export const writeBase64url = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
