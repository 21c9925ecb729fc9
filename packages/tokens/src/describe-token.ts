import { JsonError, readJson } from '@hallpass/untrusted/json'
import { parseCompact } from './rule-set/index.ts'
import { TokenError, type TokenErrorReason } from './token-error.ts'

/** An unverified token's contents, for display. */
export interface TokenDescription {
  /** Numbers that JavaScript cannot represent exactly are JsonNumbers; a part with a duplicate member is a string. */
  readonly header?: unknown
  readonly claims?: unknown
  /** The first characters of the signature: enough to compare, too few to replay the token. */
  readonly signature?: string
  /** Why any verifier would reject it, regardless of its rules. */
  readonly problem?: { readonly reason: TokenErrorReason; readonly message: string; readonly detail?: string }
}

const SIGNATURE_CHARACTERS = 6

/** Decodes a token for a page, a terminal or a log. Never throws, and never reveals the whole signature. */
export function describeToken(token: string): TokenDescription {
  const [header, claims, signature] = typeof token === 'string' ? token.split('.', 3) : []
  return {
    ...shown('header', readLeniently(header)),
    ...shown('claims', readLeniently(claims)),
    ...shown('signature', signature ? `${signature.slice(0, SIGNATURE_CHARACTERS)}…` : undefined),
    ...shown('problem', problemOf(token)),
  }
}

const shown = (name: keyof TokenDescription, value: unknown) => (value === undefined ? {} : { [name]: value })

function readLeniently(part: string | undefined): unknown {
  if (!part) return undefined
  const text = Buffer.from(part, 'base64url').toString()
  try {
    return readJson(text)
  } catch (error) {
    // A duplicate member has no single value, so show the JSON as it was sent.
    return error instanceof JsonError && error.code === 'duplicate_member' ? text : undefined
  }
}

function problemOf(token: string): TokenDescription['problem'] {
  try {
    parseCompact(token)
    return undefined
  } catch (error) {
    if (!(error instanceof TokenError)) throw error
    const { reason, message, checks } = error
    const detail = checks[0]?.detail
    return { reason, message, ...(detail ? { detail } : {}) }
  }
}
