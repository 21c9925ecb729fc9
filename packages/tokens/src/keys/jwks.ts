import { createPublicKey } from 'node:crypto'
import { decodeBase64url } from '../compact/index.ts'
import { ALGORITHMS, type Algorithm, algorithmNamed, SCHEMES } from './algorithms.ts'
import { assertKeyFits, KeyError } from './key-strength.ts'
import { thumbprint, type VerificationKey } from './keys.ts'

/** A public key as JSON (RFC 7517 §4). */
export interface Jwk {
  readonly kty: string
  readonly kid: string
  readonly alg: Algorithm
  readonly use: 'sig'
  readonly [member: string]: unknown
}

export type KeySetErrorReason =
  | 'not_a_key_set'
  | 'too_many_keys'
  | 'symmetric_key'
  | 'private_key'
  | 'duplicate_kid'
  | 'invalid_kid'
  | 'invalid_key'
  | 'weak_key'
  | 'alg_mismatch'

/** Reports a rejected key set. One dangerous key rejects all, because its issuer cannot be trusted with the others. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError'
  readonly reason: KeySetErrorReason

  constructor(reason: KeySetErrorReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** Returns the public half of a key as a JWK. */
export const publicJwk = ({ kid, alg, publicKey }: VerificationKey): Jwk =>
  ({ ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }) as Jwk

/** Returns the public halves of keys as a JWK Set (RFC 7517 §5). */
export const publicJwks = (keys: Iterable<VerificationKey>): { keys: Jwk[] } => ({
  keys: [...keys].map(publicJwk),
})

/** An issuer has a handful of keys; a set of thousands would fill a verifier's memory. */
const MAX_KEYS = 100
/** A kid is used only as a map key, so any characters are safe, but its length must be limited. */
export const MAX_KID_LENGTH = 256
/** Members that only private and symmetric keys have (RFC 7518 §6.2.2, §6.3.2, §6.4). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

export interface ParseJwksOptions {
  /** The `use` values of keys that verify tokens, e.g. `jwt-svid` in SPIFFE bundles. Keys without `use` are included. */
  readonly uses?: readonly string[]
}

/**
 * Reads a published key set. Skips keys for other purposes or unsupported algorithms (RFC 7517 §5), and rejects a set that
 * contains a dangerous key.
 * @throws {KeySetError}
 */
export function parseJwks(json: unknown, { uses = ['sig'] }: ParseJwksOptions = {}): VerificationKey[] {
  const entries = isObject(json) ? json.keys : undefined
  if (!Array.isArray(entries) || !entries.every(isObject))
    throw new KeySetError('not_a_key_set', 'A key set is an object with an array of keys (RFC 7517 §5).')
  if (entries.length > MAX_KEYS)
    throw new KeySetError(
      'too_many_keys',
      `A key set must have at most ${MAX_KEYS} keys; this one has ${entries.length}.`,
    )
  const keys = new Map<string, VerificationKey>()
  for (const jwk of entries) {
    refuseSecrets(jwk)
    const alg = isForVerification(jwk, uses) ? algorithmOf(jwk) : undefined
    if (!alg) continue
    const key = readJwk(jwk, alg)
    if (keys.has(key.kid))
      throw new KeySetError('duplicate_kid', `Two keys of the set have the kid ${key.kid.slice(0, 64)}.`)
    keys.set(key.kid, key)
  }
  return [...keys.values()]
}

type JsonObject = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function refuseSecrets(jwk: JsonObject): void {
  if (jwk.kty === 'oct')
    throw new KeySetError('symmetric_key', 'A published symmetric key would let anyone sign (RFC 7517 §9.2).')
  if (PRIVATE_MEMBERS.some((member) => Object.hasOwn(jwk, member)))
    throw new KeySetError('private_key', 'The set publishes the private part of a key (RFC 7517 §9.2).')
}

function isForVerification(jwk: JsonObject, uses: readonly string[]): boolean {
  if (jwk.use !== undefined && !uses.includes(String(jwk.use))) return false
  return jwk.key_ops === undefined || (Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))
}

/** Returns the single algorithm of a key (RFC 8725 §3.1). Without `alg`, the key type decides. */
function algorithmOf(jwk: JsonObject): Algorithm | undefined {
  if (jwk.alg !== undefined) return algorithmNamed(jwk.alg, ALGORITHMS)
  return ALGORITHMS.find((alg) => {
    const { kty, crv } = SCHEMES[alg]
    return kty === jwk.kty && (crv === undefined || crv === jwk.crv)
  })
}

function readJwk(jwk: JsonObject, alg: Algorithm): VerificationKey {
  const { kid } = jwk
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH))
    throw new KeySetError('invalid_kid', `A kid must be a string of 1 to ${MAX_KID_LENGTH} characters.`)
  for (const member of ['n', 'e', 'x', 'y'])
    if (typeof jwk[member] === 'string' && !decodeBase64url(jwk[member]))
      throw new KeySetError('invalid_key', `The member ${member} of a key is not base64url (RFC 7518 §6).`)
  try {
    const { kty, crv, n, e, x, y } = jwk as Record<string, string>
    const publicKey = createPublicKey({ key: { kty, crv, n, e, x, y } as JsonWebKey, format: 'jwk' })
    assertKeyFits(publicKey, alg)
    return { kid: kid ?? thumbprint(publicKey), alg, publicKey }
  } catch (cause) {
    if (cause instanceof KeyError) throw new KeySetError(cause.reason, cause.message, { cause })
    throw new KeySetError('invalid_key', 'A key of the set cannot be read.', { cause })
  }
}

type JsonWebKey = import('node:crypto').JsonWebKey
