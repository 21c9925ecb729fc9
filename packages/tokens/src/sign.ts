import { randomUUID } from 'node:crypto'
import { type Claims, findNonJson, MAX_TOKEN_LENGTH } from './compact/index.ts'
import type { AnySigningKey, SignatureAlgorithm, Signer } from './keys/index.ts'
import { assertSpeaks, nodeCrypto, signingInputOf, type TokenLibrary } from './libraries/index.ts'
import { isNumericDate } from './rule-set/index.ts'

export interface SignOptions {
  /** Seconds from now until `exp`; a negative number makes an expired token. */
  readonly lifetimeSeconds: number
  /** The header's `typ` (RFC 7515 §4.1.9); `JWT` by default. */
  readonly typ?: string
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
  readonly library?: TokenLibrary
  /** The maximum length in characters; by default that of every verifier. */
  readonly maxLength?: number
}

/** Reports claims or options that cannot become a token. */
export class SigningError extends Error {
  override readonly name = 'SigningError'
  readonly reason: 'token_too_large' | 'invalid_lifetime' | 'invalid_not_before' | 'claim_not_json'

  constructor(reason: SigningError['reason'], message: string) {
    super(message)
    this.reason = reason
  }
}

/**
 * Signs claims as a compact JWS (RFC 7519 §7.1). Always sets its own `iat`, `exp` and random `jti`, overriding those in the
 * claims. A `Signer` makes the signature itself, so `library` is used only for a key in this process.
 * @throws {SigningError} if the lifetime or `nbf` is invalid, a claim has a value that JSON would change or drop (NaN, Infinity,
 *   bigint, undefined, a Date), or the token would be too large for any verifier.
 */
export async function signToken(
  claims: Readonly<Record<string, unknown>>,
  key: AnySigningKey | Signer<SignatureAlgorithm>,
  {
    lifetimeSeconds,
    typ = 'JWT',
    clock = Date.now,
    library = nodeCrypto,
    maxLength = MAX_TOKEN_LENGTH,
  }: SignOptions,
): Promise<string> {
  if (!Number.isFinite(lifetimeSeconds))
    throw new SigningError('invalid_lifetime', 'lifetimeSeconds must be a finite number.')
  const { nbf } = claims
  if (nbf !== undefined && !isNumericDate(nbf))
    throw new SigningError('invalid_not_before', 'nbf must be a number of seconds since 1970.')
  const wrong = findNonJson(claims)
  if (wrong) throw new SigningError('claim_not_json', `The claim ${wrong.path} ${wrong.why}.`)
  const iat = Math.floor(clock() / 1000)
  const exp = iat + Math.floor(lifetimeSeconds)
  const all = { ...claims, exp, iat, jti: randomUUID() }
  const token = 'privateKey' in key ? await signWith(library, all, key, typ) : await signBy(key, all, typ)
  if (token.length > maxLength)
    throw new SigningError(
      'token_too_large',
      `The token would have ${token.length} characters; verifiers accept at most ${maxLength}.`,
    )
  return token
}

function signWith(library: TokenLibrary, claims: Claims, key: AnySigningKey, typ: string): Promise<string> {
  assertSpeaks(library, key.alg)
  return library.sign(claims, key, typ)
}

async function signBy(signer: Signer<SignatureAlgorithm>, claims: Claims, typ: string): Promise<string> {
  const input = signingInputOf(claims, signer, typ)
  const signature = await signer.sign(Buffer.from(input, 'latin1'))
  return `${input}.${Buffer.from(signature).toString('base64url')}`
}
