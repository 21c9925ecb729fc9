import {
  ALGORITHMS,
  algorithmNamed,
  SCHEMES,
  type SignatureAlgorithm,
  type SignatureScheme,
} from './algorithms.ts'
import { importPublicJwk, type Jwk, publicJwk } from './jwk.ts'
import { KeyError, type KeyErrorReason } from './key-error.ts'
import { assertFits } from './key-strength.ts'
import { thumbprint, type VerificationKey } from './keys.ts'

export type KeySetErrorReason =
  | 'not_a_key_set'
  | 'too_many_keys'
  | 'symmetric_key'
  | 'private_key'
  | 'no_usable_key'

/** Why a key of a set is left out. */
export type UnusableKeyReason =
  | 'other_purpose'
  | 'duplicate_kid'
  | 'unsupported_algorithm'
  | 'invalid_kid'
  | KeyErrorReason

/** A key that is left out of a set. */
export interface UnusableKey {
  /** Its position in the set, from 0. */
  readonly index: number
  /** At most 64 characters of it; undefined if it has none. */
  readonly kid?: string
  readonly reason: UnusableKeyReason
  readonly message: string
}

/** Reports a rejected key set: it is malformed, gives away secrets, is ambiguous, or has no key that can verify a token. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError'
  readonly reason: KeySetErrorReason
  /** Why each key cannot be used (`no_usable_key`). */
  readonly unusable: readonly UnusableKey[]

  constructor(
    reason: KeySetErrorReason,
    message: string,
    { unusable = [], ...options }: ErrorOptions & { readonly unusable?: readonly UnusableKey[] } = {},
  ) {
    super(message, options)
    this.reason = reason
    this.unusable = unusable
  }
}

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
  /**
   * The accepted algorithms; by default {@link ALGORITHMS}. A key without `alg` is used with the first of them that fits it.
   */
  readonly algorithms?: readonly SignatureAlgorithm[] | undefined
}

/** The number of unusable keys that an error describes; all of 100 would fill a log line and a response. */
const MAX_DESCRIBED = 5
const MAX_SHOWN_KID_LENGTH = 64
export interface KeySet {
  readonly keys: readonly VerificationKey[]
  readonly unusable: readonly UnusableKey[]
}

/**
 * Reads a published key set like {@link readKeySet} and returns its usable keys.
 * @throws {KeySetError}
 */
export const parseJwks = (json: unknown, options?: ParseJwksOptions): VerificationKey[] => [
  ...readKeySet(json, options).keys,
]

/**
 * Reads a published key set. Leaves out keys for other purposes, of unknown types or algorithms, and weak or malformed keys
 * (RFC 7517 §5), so that one of them does not stop verification with the others; also different keys with one `kid`, because a token
 * would not name its key. An empty set is an issuer without keys.
 * @throws {KeySetError} if the set publishes a secret, or has keys but none is usable
 */
export function readKeySet(json: unknown, options: ParseJwksOptions = {}): KeySet {
  const { uses = ['sig'], algorithms = ALGORITHMS } = options
  const entries = isObject(json) ? json.keys : undefined
  if (!Array.isArray(entries))
    throw new KeySetError('not_a_key_set', 'A key set is an object with an array of keys (RFC 7517 §5).')
  if (entries.length > MAX_KEYS)
    throw new KeySetError(
      'too_many_keys',
      `A key set must have at most ${MAX_KEYS} keys; this one has ${entries.length}.`,
    )
  const found: { readonly index: number; readonly key: VerificationKey }[] = []
  const unusable: UnusableKey[] = []
  for (const [index, jwk] of entries.entries()) {
    if (isObject(jwk)) refuseSecrets(jwk)
    const key = readOrDescribe(jwk, uses, algorithms)
    if ('publicKey' in key) found.push({ index, key })
    else unusable.push({ index, ...kidToShow(jwk), ...key })
  }
  const keys = new Map<string, VerificationKey>()
  for (const { index, key } of found) {
    const { kid } = key
    if (found.every((other) => other.key.kid !== kid || isSameKey(other.key, key))) keys.set(kid, key)
    else
      unusable.push({
        index,
        kid: kid.slice(0, MAX_SHOWN_KID_LENGTH),
        reason: 'duplicate_kid',
        message: 'Another key of the set has the same kid.',
      })
  }
  unusable.sort((a, b) => a.index - b.index)
  if (keys.size === 0 && unusable.length > 0)
    throw new KeySetError('no_usable_key', `The set has no usable key: ${described(unusable)}`, { unusable })
  return { keys: [...keys.values()], unusable }
}

/** Whether two keys are one, with the same algorithm. */
export const isSameKey = (a: VerificationKey, b: VerificationKey) =>
  a.alg === b.alg && a.publicKey.equals(b.publicKey)

const kidToShow = (jwk: unknown) =>
  isObject(jwk) && typeof jwk.kid === 'string' ? { kid: jwk.kid.slice(0, MAX_SHOWN_KID_LENGTH) } : {}

/** Returns e.g. `key 1: …; key 2: …; and 3 more.` */
function described(unusable: readonly UnusableKey[]): string {
  const shown = unusable
    .slice(0, MAX_DESCRIBED)
    .map(({ index, message }) => `key ${index + 1}: ${message.replace(/\.$/, '')}`)
  const more = unusable.length - shown.length
  return `${[...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')}.`
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

function readOrDescribe(
  jwk: unknown,
  uses: readonly string[],
  algorithms: readonly SignatureAlgorithm[],
): VerificationKey | Omit<UnusableKey, 'index' | 'kid'> {
  try {
    return readJwk(jwk, uses, algorithms)
  } catch (error) {
    if (!(error instanceof UnusableKeyError || error instanceof KeyError)) throw error
    return { reason: error.reason, message: error.message }
  }
}

class UnusableKeyError extends Error {
  readonly reason: UnusableKeyReason

  constructor(reason: UnusableKeyReason, message: string) {
    super(message)
    this.reason = reason
  }
}

function readJwk(
  jwk: unknown,
  uses: readonly string[],
  algorithms: readonly SignatureAlgorithm[],
): VerificationKey {
  if (!isObject(jwk)) throw new KeyError('invalid_key', 'It is not a JSON object (RFC 7517 §4).')
  assertVerifies(jwk, uses)
  const alg = algorithmOf(jwk, algorithms)
  const kid = kidOf(jwk)
  const publicKey = importPublicJwk(jwk)
  assertFits(publicKey, alg)
  return { kid: kid ?? thumbprint(publicKey), alg, publicKey }
}

function assertVerifies({ use, key_ops }: JsonObject, uses: readonly string[]): void {
  if (use !== undefined && !uses.includes(use as string))
    throw new UnusableKeyError(
      'other_purpose',
      typeof use === 'string'
        ? `Its use is ${quote(use)}, not ${uses.join(' or ')}.`
        : 'Its use is not a string.',
    )
  if (key_ops !== undefined && !(Array.isArray(key_ops) && key_ops.includes('verify')))
    throw new UnusableKeyError('other_purpose', 'Its key_ops do not include verify.')
}

/** Returns the single algorithm of a key (RFC 8725 §3.1). Without `alg`, the key type decides. */
function algorithmOf(
  { alg, kty, crv }: JsonObject,
  algorithms: readonly SignatureAlgorithm[],
): SignatureAlgorithm {
  const found =
    alg === undefined
      ? algorithms.find((name) => {
          const scheme: SignatureScheme = SCHEMES[name]
          return scheme.kty === kty && (scheme.crv === undefined || scheme.crv === crv)
        })
      : algorithmNamed(alg, algorithms)
  if (found) return found
  throw new UnusableKeyError(
    'unsupported_algorithm',
    alg === undefined
      ? `No supported algorithm uses the key type ${quote(kty)}${crv === undefined ? '' : ` ${quote(crv)}`}.`
      : `The algorithm ${quote(alg)} is not supported.`,
  )
}

function kidOf({ kid }: JsonObject): string | undefined {
  if (kid === undefined || (typeof kid === 'string' && kid !== '' && kid.length <= MAX_KID_LENGTH)) return kid
  throw new UnusableKeyError('invalid_kid', `A kid must be a string of 1 to ${MAX_KID_LENGTH} characters.`)
}

/** Quotes at most 32 characters of a published value. */
const quote = (value: unknown) => {
  const text = JSON.stringify(typeof value === 'string' ? value.slice(0, 32) : (value ?? null))
  return text.slice(0, 34)
}
