import type { CommonConfig, VariableReader } from '@hallpass/service-kit'

/** `max-age` of the key set, which caches and verifiers follow. */
const KEY_SET_MAX_AGE_SECONDS = 300
/**
 * The slowest verifier that we know: istiod loads the keys of an issuer every 20 minutes
 * (`PILOT_JWT_PUB_KEY_REFRESH_INTERVAL`), whatever their max-age is. Of the others, jose and jwks-rsa cache keys for 10 minutes,
 * Envoy, nginx and this suite for 5.
 */
const SLOWEST_VERIFIER_SECONDS = 1_200
/** The largest CLOCK_TOLERANCE_SECONDS: a verifier's clock may be this much behind. */
const CLOCK_TOLERANCE_SECONDS = 60
/** From the store to every replica within a second, and from istiod to each proxy within a minute. */
const PROPAGATION_SECONDS = 60

/** 22 minutes: long enough for the slowest verifier. */
const PUBLISH_AHEAD_SECONDS =
  Math.max(KEY_SET_MAX_AGE_SECONDS, SLOWEST_VERIFIER_SECONDS) + CLOCK_TOLERANCE_SECONDS + PROPAGATION_SECONDS
/** Outside development, every verifier must have had the time to load the key set again. */
const MIN_PUBLISH_AHEAD_SECONDS = KEY_SET_MAX_AGE_SECONDS + CLOCK_TOLERANCE_SECONDS + PROPAGATION_SECONDS
/** A day: an issuer whose verifiers are slower should fix them first. */
const MAX_PUBLISH_AHEAD_SECONDS = 86_400
/** For a key that is in use all the time, NIST SP 800-57 part 1 §5.3.6 allows one to three years. */
const MAX_EVERY_MS = 365 * 86_400_000
/** In development, a rotation can be watched. */
const MIN_EVERY_MS = 10_000

/** Reads how often keys are rotated, and how long a key is published before it signs. */
export function rotationConfig(variables: VariableReader, { production }: CommonConfig) {
  const everyMs = variables.optionalDuration('ROTATE_EVERY', { minMs: MIN_EVERY_MS, maxMs: MAX_EVERY_MS })
  const publishAheadSeconds = variables.seconds('PUBLISH_AHEAD_SECONDS', PUBLISH_AHEAD_SECONDS, {
    min: production ? MIN_PUBLISH_AHEAD_SECONDS : 1,
    max: MAX_PUBLISH_AHEAD_SECONDS,
  })
  const publishAheadMs = publishAheadSeconds * 1000
  // A key signs for at least half a period, and during that time the next one must be published.
  variables.require(
    everyMs === undefined || everyMs >= 4 * publishAheadMs,
    `ROTATE_EVERY must be at least four times PUBLISH_AHEAD_SECONDS (${publishAheadSeconds} s), the time that verifiers need to load a new key`,
  )
  return {
    /** The maximum age of a signing key; undefined if keys are rotated only by hand. */
    everyMs,
    publishAheadMs,
  }
}
