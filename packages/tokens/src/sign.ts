import { randomUUID } from 'node:crypto'
import { MAX_TOKEN_LENGTH } from './compact/index.ts'
import type { SigningKey } from './keys/index.ts'
import { assertSpeaks, nodeCrypto, type TokenLibrary } from './libraries/index.ts'
import { isNumericDate } from './rule-set/index.ts'

export interface SignOptions {
  /** Seconds from now until `exp`; a negative number makes an expired token. */
  readonly lifetimeSeconds: number
  /** The header's `typ` (RFC 7515 §4.1.9); `JWT` by default. */
  readonly typ?: string
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly library?: TokenLibrary
}

/** Reports claims or options that cannot become a token. */
export class SigningError extends Error {
  override readonly name = 'SigningError'
  readonly reason: 'token_too_large' | 'invalid_lifetime' | 'invalid_not_before'

  constructor(reason: SigningError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * Signs claims as a compact JWS (RFC 7519 §7.1). Always sets its own `iat`, `exp` and random `jti`, overriding those in the
 * claims.
 * @throws {SigningError} if the lifetime or `nbf` is invalid, or the token would be too large for any verifier.
 */
export async function signToken(
  claims: Readonly<Record<string, unknown>>,
  key: SigningKey,
  { lifetimeSeconds, typ = 'JWT', clock = Date.now, library = nodeCrypto }: SignOptions,
): Promise<string> {
  if (!Number.isFinite(lifetimeSeconds))
    throw new SigningError('invalid_lifetime', 'lifetimeSeconds must be a finite number.')
  const { nbf } = claims
  if (nbf !== undefined && !isNumericDate(nbf))
    throw new SigningError('invalid_not_before', 'nbf must be a number of seconds since 1970.')
  assertSpeaks(library, key.alg)
  const iat = Math.floor(clock() / 1000)
  const exp = iat + Math.floor(lifetimeSeconds)
  const token = await library.sign({ ...claims, exp, iat, jti: randomUUID() }, key, typ)
  if (token.length > MAX_TOKEN_LENGTH)
    throw new SigningError(
      'token_too_large',
      `The token would have ${token.length} characters; verifiers accept at most ${MAX_TOKEN_LENGTH}.`,
    )
  return token
}
