import { decodeBase64url } from './base64url.ts'
import { type JsonObject, parseJsonObject } from './json-object.ts'
import { TokenError, type TokenErrorReason } from './token-error.ts'

/** A token travels in a header, and servers allow 8 to 16 KiB for all headers together. */
export const MAX_TOKEN_LENGTH = 8 * 1024
/** A header holds alg, typ and kid; 4 KiB leave room for a foreign issuer's certificate thumbprints. */
export const MAX_HEADER_LENGTH = 4 * 1024

/** The JOSE header of a JWS (RFC 7515 §4). */
export type TokenHeader = JsonObject

/** The claims of a JWT (RFC 7519 §4). */
export type Claims = JsonObject

/** The three parts of a compact JWS, read but not yet verified. */
export interface ParsedToken {
  readonly token: string
  readonly header: TokenHeader
  readonly payload: Claims
  /** What is signed: the first two parts with the dot between them (RFC 7515 §5.1). */
  readonly signingInput: string
  readonly signature: Buffer
}

/**
 * Splits and decodes a compact JWS (RFC 7515 §7.1) whose payload is a JSON object (RFC 7519 §7.2), strictly. Nothing is
 * verified.
 * @throws {TokenError} when the token does not have exactly this form.
 */
export function parseCompact(token: string): ParsedToken {
  if (typeof token !== 'string') throw refusal('not_a_string', 'jwt must be a string')
  if (token === '') throw refusal('token_missing', 'jwt must be provided')
  if (token.length > MAX_TOKEN_LENGTH) throw refusal('token_too_large', 'jwt too large')
  const firstDot = token.indexOf('.')
  const secondDot = token.indexOf('.', firstDot + 1)
  if (firstDot === -1 || secondDot === -1) throw refusal('not_compact', 'jwt malformed')
  if (token.includes('.', secondDot + 1)) {
    // Five parts are a JWE (RFC 7516 §9), which is nobody's mistake but the sender's.
    const parts = token.split('.').length
    throw refusal(parts === 5 ? 'encrypted_token' : 'not_compact', 'jwt malformed')
  }
  if (firstDot > MAX_HEADER_LENGTH) throw refusal('header_too_large', 'invalid token')
  const header = decodeObject(token.slice(0, firstDot))
  if (typeof header === 'string') throw refusal('header_malformed', 'invalid token', header)
  const payload = decodeObject(token.slice(firstDot + 1, secondDot))
  if (typeof payload === 'string') throw refusal('claims_malformed', 'invalid token', payload)
  const signature = decodeBase64url(token.slice(secondDot + 1))
  if (!signature) throw refusal('signature_malformed', 'invalid token', 'not base64url')
  return { token, header, payload, signingInput: token.slice(0, secondDot), signature }
}

function decodeObject(part: string): JsonObject | string {
  const bytes = decodeBase64url(part)
  return bytes ? parseJsonObject(bytes) : 'not base64url'
}

const refusal = (reason: TokenErrorReason, message: string, detail?: string) =>
  new TokenError(reason, message, {
    checks: [{ name: 'form', passed: false, rule: 'RFC 7515 §7.1', ...(detail ? { detail } : {}) }],
  })
