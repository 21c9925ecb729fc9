import type { SignatureAlgorithm } from './algorithms.ts'
import type { KeyIdentity, VerificationKey } from './keys.ts'

/**
 * Finds an issuer's key by the `kid` of a token's header. A finder must never return another issuer's key
 * (RFC 8725 §3.8).
 */
export interface KeyFinder {
  /**
   * @param beforeLoad called before anything is loaded for this token, because anyone can make up a `kid`. What it throws
   * prevents the load, and the finder throws it.
   */
  (
    issuer: string,
    kid: string | undefined,
    alg: SignatureAlgorithm,
    beforeLoad?: () => void,
  ): VerificationKey | undefined | Promise<VerificationKey | undefined>
  /**
   * Returns the key that the issuer publishes by now in place of `rejected`, which did not make a token's signature; undefined
   * if there is no other, or if it must not ask again yet. For issuers that give a new key the kid of the old one, or whose
   * tokens have no kid, so that the token does not show that its key is new.
   */
  readonly replaced?: (
    issuer: string,
    kid: string | undefined,
    alg: SignatureAlgorithm,
    rejected: VerificationKey,
  ) => undefined | Promise<VerificationKey | undefined>
  /**
   * Returns since when the issuer is known to have withdrawn a key, in milliseconds since the epoch: the start of the last load, if its set
   * lacks the key. Undefined if the key is published, or nothing else is known yet; Infinity if the issuer was unavailable for so long
   * that none of its keys is trusted. A set that is due is loaded first, so who calls this regularly learns of a withdrawal within the
   * maximum age of the set, although no token comes. Never rejects. Absent if keys are never withdrawn.
   */
  readonly withdrawnAt?: (issuer: string, key: KeyIdentity) => Promise<number | undefined>
}

/** Finds a key by `kid`; without a `kid`, returns the key for the algorithm if there is exactly one. */
export function keyNamed(
  keys: ReadonlyMap<string, VerificationKey>,
  kid: string | undefined,
  alg: SignatureAlgorithm,
): VerificationKey | undefined {
  if (kid !== undefined) return keys.get(kid)
  const candidates = [...keys.values()].filter((key) => key.alg === alg)
  return candidates.length === 1 ? candidates[0] : undefined
}

/**
 * Makes a finder for an issuer's fixed keys.
 * @throws {TypeError} if two keys have the same `kid`.
 */
export function staticKeys(issuer: string, keys: readonly VerificationKey[]): KeyFinder {
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  if (byKid.size !== keys.length) throw new TypeError(`Two keys of ${issuer} have the same kid.`)
  return (wanted, kid, alg) => (wanted === issuer ? keyNamed(byKid, kid, alg) : undefined)
}
