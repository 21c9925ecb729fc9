import { randomUUID } from 'node:crypto'
import { MAX_TOKEN_LENGTH } from './compact/compact.ts'
import type { SigningKey } from './keys/keys.ts'
import { assertSpeaks } from './libraries/libraries.ts'
import type { TokenLibrary } from './libraries/library.ts'
import { nodeCrypto } from './libraries/node-crypto.ts'
import { isNumericDate } from './rule-set/times.ts'

export interface SignOptions {
  /** Seconds from now until `exp`; a negative number makes a token that has already expired. */
  readonly lifetimeSeconds: number
  /** The header's `typ` (RFC 7515 §4.1.9); `JWT` by default. */
  readonly typ?: string
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly library?: TokenLibrary
}

/** Claims that cannot become a token. */
export class SigningError extends Error {
  override readonly name = 'SigningError'
  readonly reason: 'token_too_large' | 'invalid_lifetime' | 'invalid_not_before'

  constructor(reason: SigningError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * Signs claims as a compact JWS (RFC 7519 §7.1). `iat`, `exp` and a random `jti` are always the signer's own, whatever
 * the claims say.
 * @throws {SigningError} when no verifier would take the token, because it is too large.
 */
export async function signToken(
  claims: Readonly<Record<string, unknown>>,
  key: SigningKey,
  { lifetimeSeconds, typ = 'JWT', clock = Date.now, library = nodeCrypto }: SignOptions,
): Promise<string> {
  if (!Number.isFinite(lifetimeSeconds))
    throw new SigningError('invalid_lifetime', 'A lifetime is a finite number of seconds.')
  const { nbf } = claims
  if (nbf !== undefined && !isNumericDate(nbf))
    throw new SigningError('invalid_not_before', 'nbf is a number of seconds since 1970.')
  assertSpeaks(library, key.alg)
  const iat = Math.floor(clock() / 1000)
  const exp = iat + Math.floor(lifetimeSeconds)
  const token = await library.sign({ ...claims, exp, iat, jti: randomUUID() }, key, typ)
  if (token.length > MAX_TOKEN_LENGTH)
    throw new SigningError(
      'token_too_large',
      `The token would have ${token.length} characters; verifiers take ${MAX_TOKEN_LENGTH}.`,
    )
  return token
}
