import { JsonError, readJson } from '@hallpass/untrusted/json'
import { parseCompact } from '../rule-set/form.ts'
import { TokenError, type TokenErrorReason } from '../token-error.ts'

/** What a token says, for people to look at. Nothing of it is verified. */
export interface TokenDescription {
  /** Numbers that JavaScript would change are JsonNumbers; a part with a member twice is its text. */
  readonly header?: unknown
  readonly claims?: unknown
  /** The first characters of the signature: enough to tell two apart, too little to send. */
  readonly signature?: string
  /** Why no verifier would take it, whatever its rules. */
  readonly problem?: { readonly reason: TokenErrorReason; readonly message: string; readonly detail?: string }
}

const SIGNATURE_CHARACTERS = 6

/** Takes a token apart for a page, a terminal or a log; never throws, and never gives the signature away. */
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
    // With a member twice there is no one value to show, but what was sent.
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
