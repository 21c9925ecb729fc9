import type { Algorithm } from './algorithms.ts'
import type { VerificationKey } from './keys.ts'

/**
 * Finds the key of an issuer by the name that a token's header gives. Whose key it is counts as much as its name:
 * a finder never answers with another issuer's key (RFC 8725 §3.8).
 */
export type KeyFinder = (
  issuer: string,
  kid: string | undefined,
  alg: Algorithm,
) => VerificationKey | undefined | Promise<VerificationKey | undefined>

/** The key of a set that a token means: by `kid`, or without one the only key of the algorithm. */
export function keyNamed(
  keys: ReadonlyMap<string, VerificationKey>,
  kid: string | undefined,
  alg: Algorithm,
): VerificationKey | undefined {
  if (kid !== undefined) return keys.get(kid)
  const candidates = [...keys.values()].filter((key) => key.alg === alg)
  return candidates.length === 1 ? candidates[0] : undefined
}

/** The keys of one issuer that never change while the process lives. */
export function staticKeys(issuer: string, keys: readonly VerificationKey[]): KeyFinder {
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  if (byKid.size !== keys.length) throw new TypeError(`Two keys of ${issuer} have the same kid.`)
  return (wanted, kid, alg) => (wanted === issuer ? keyNamed(byKid, kid, alg) : undefined)
}
