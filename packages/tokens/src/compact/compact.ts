import type { TokenErrorReason } from '../token-error.ts'
import { decodeBase64url } from './base64url.ts'
import { type JsonObject, parseJsonObject } from './json-object.ts'

/** Tokens are sent in HTTP headers, and servers limit all headers together to 8–16 KiB. */
export const MAX_TOKEN_LENGTH = 8 * 1024
/** Our headers contain only alg, typ and kid; 4 KiB leaves room for other issuers' certificate thumbprints. */
export const MAX_HEADER_LENGTH = 4 * 1024

/** The JOSE header of a JWS (RFC 7515 §4). */
export type TokenHeader = JsonObject

/** The claims of a JWT (RFC 7519 §4). */
export type Claims = JsonObject

/** The three parts of a compact JWS (RFC 7515 §7.1), decoded; the payload can be any bytes. */
export interface CompactParts {
  readonly token: string
  readonly header: TokenHeader
  readonly payloadBytes: Buffer
  /** The signed string: the first two parts, joined by the dot (RFC 7515 §5.1). */
  readonly signingInput: string
  readonly signature: Buffer
}

/** A compact JWS whose payload is a set of claims (RFC 7519 §7.2), parsed but not verified. */
export interface ParsedToken extends CompactParts {
  readonly payload: Claims
}

/** Creates the error for a malformed token. */
export interface Refuser {
  fail(reason: TokenErrorReason, message: string, detail?: string): Error
}

/**
 * Parses a token strictly: exactly three parts, base64url, UTF-8, JSON objects without duplicate members, within the
 * limits. Does not verify anything.
 * @throws the error that `refuser` creates if the token is malformed.
 */
export function readCompact(token: string, refuser: Refuser, maxLength?: number): ParsedToken {
  const parts = splitCompact(token, refuser, maxLength)
  const payload = parseJsonObject(parts.payloadBytes)
  if (typeof payload === 'string') throw refuser.fail('claims_malformed', 'invalid token', payload)
  return { ...parts, payload }
}

/** Splits and decodes a compact JWS with any payload. */
export function splitCompact(token: string, refuser: Refuser, maxLength = MAX_TOKEN_LENGTH): CompactParts {
  const [firstDot, secondDot] = findDots(token, refuser, maxLength)
  if (firstDot > MAX_HEADER_LENGTH) throw refuser.fail('header_too_large', 'invalid token')
  const headerBytes = decodeBase64url(token.slice(0, firstDot))
  const header = headerBytes ? parseJsonObject(headerBytes) : NOT_BASE64URL
  if (typeof header === 'string') throw refuser.fail('header_malformed', 'invalid token', header)
  const payloadBytes = decodeBase64url(token.slice(firstDot + 1, secondDot))
  if (!payloadBytes) throw refuser.fail('claims_malformed', 'invalid token', NOT_BASE64URL)
  const signature = decodeBase64url(token.slice(secondDot + 1))
  if (!signature) {
    // A truncated signature is still valid base64url except for its last bits; jsonwebtoken reports an invalid signature.
    const message = /[^A-Za-z0-9_-]/.test(token.slice(secondDot + 1)) ? 'invalid token' : 'invalid signature'
    throw refuser.fail('signature_malformed', message, NOT_BASE64URL)
  }
  return { token, header, payloadBytes, signingInput: token.slice(0, secondDot), signature }
}

const NOT_BASE64URL = 'not base64url'

function findDots(token: string, refuser: Refuser, maxLength: number): [first: number, second: number] {
  if (typeof token !== 'string') throw refuser.fail('not_a_string', 'jwt must be a string')
  if (token === '') throw refuser.fail('token_missing', 'jwt must be provided')
  if (token.length > maxLength) throw refuser.fail('token_too_large', 'jwt too large')
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first === -1 || second === -1) throw refuser.fail('not_compact', 'jwt malformed')
  if (token.includes('.', second + 1)) {
    // Five parts are a JWE (RFC 7516 §9), which this verifier does not support.
    const parts = token.split('.').length
    throw refuser.fail(parts === 5 ? 'encrypted_token' : 'not_compact', 'jwt malformed')
  }
  return [first, second]
}
