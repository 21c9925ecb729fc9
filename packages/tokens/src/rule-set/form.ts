import { type ParsedToken, type Refuser, readCompact } from '../compact/index.ts'
import { TokenError } from '../token-error.ts'
import { check } from './check.ts'

/** Requires a compact JWS whose payload is a JSON object. A remembered token has passed this check before. */
export const form = check('form', 'RFC 7515 §7.1', (verification) => {
  const { token, remembered } = verification
  if (remembered) {
    verification.header = remembered.header
    verification.claims = remembered.claims
  } else {
    verification.parts = readCompact(token, verification, verification.rules.maxTokenLength)
    verification.header = verification.parts.header
    verification.claims = verification.parts.payload
  }
  verification.times = verification.claims
})

const ofForm: Refuser = {
  fail: (reason, message, detail) => {
    const { name, rule } = form
    return new TokenError(reason, message, {
      checks: [{ name, passed: false, rule, ...(detail ? { detail } : {}) }],
    })
  },
}

/**
 * Parses a token strictly: exactly three parts, base64url, UTF-8, JSON objects without duplicate members, within the
 * limits. Does not verify anything.
 * @throws {TokenError} if the token is malformed.
 */
export const parseCompact = (token: string): ParsedToken => readCompact(token, ofForm)
