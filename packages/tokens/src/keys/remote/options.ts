import { KeySetError, type ParseJwksOptions, type UnusableKey } from '../jwks.ts'

export interface RemoteKeysOptions extends ParseJwksOptions {
  readonly issuer: string
  /** Fetches the key set as parsed JSON; must have its own timeout. */
  readonly load: () => Promise<unknown>
  /**
   * Fetches a set with one key, for an issuer that has more keys than fit into its set; undefined if it has no such key.
   * It is called for a kid that the set lacks, instead of loading the set again.
   */
  readonly loadKey?: ((kid: string) => Promise<unknown>) | undefined
  /**
   * Called with the keys that a loaded set has but that cannot be used, whenever they differ from those of the last set, and
   * with an empty list once all can be used again.
   */
  readonly onUnusable?: ((unusable: readonly UnusableKey[]) => void) | undefined
  /** Called with what `load` threw, or a KeySetError, each time that a load fails; with undefined when one succeeds. */
  readonly onFailure?: ((failure: unknown) => void) | undefined
  /** How long a set is used before it must be loaded again. */
  readonly maxAgeMs?: number
  /**
   * The time between a failed load and the next one, and the time in which five loads that changed nothing are allowed again, evenly, to
   * tokens with unknown kids or wrong signatures: with 30 s, a flood of them causes five loads and then ten a minute.
   */
  readonly cooldownMs?: number
  /** How long a set is used if loading keeps failing; afterwards verification fails closed. */
  readonly maxStaleMs?: number
  /** Milliseconds since the epoch. */
  readonly clock?: () => number
}

/** A common cache time for JWKS, and the maximum time for which a removed key is still accepted. */
export const DEFAULT_MAX_AGE_MS = 5 * 60_000
/** Long enough for an issuer that restarts. */
export const DEFAULT_COOLDOWN_MS = 30_000
/** An issuer that has been unavailable for a day is not expected to recover. */
export const DEFAULT_MAX_STALE_MS = 24 * 3_600_000
/** The fraction of maxAgeMs after which a set is refreshed in the background, so that no request has to wait. */
export const REFRESH_AHEAD = 0.75

export const parseOptions = ({ uses, algorithms }: RemoteKeysOptions): ParseJwksOptions => ({
  ...(uses && { uses }),
  algorithms,
})

/** Adds the issuer to the error, because the error reaches clients of a verifier that may have several. */
export const named = (failure: KeySetError, issuer: string): KeySetError =>
  new KeySetError(failure.reason, `The key set of ${issuer} is rejected. ${failure.message}`, {
    cause: failure,
    unusable: failure.unusable,
  })
