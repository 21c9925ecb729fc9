import type { Clock, UnusableKeys, VerifiedClaims } from '@hallpass/service-kit'
import { remoteKeys, remoteStatusLists, type TokenLibrary, verifyToken } from '@hallpass/tokens'
import type { IssuedStatusSource } from './issuer.ts'

/** The key ID with which jwt-factory signs its status lists. */
const STATUS_LIST_KEY_ID = 'status-list'
/** jwt-factory's longest lifetime. */
const MAX_LIFETIME_SECONDS = 3_600
/** How long a key that was withdrawn is still accepted; as long as a revoked token with the factory's defaults. */
const KEYS_MAX_AGE_MS = 10_000
/** A new list is looked for at most this often, and a new key five times, however many tokens with made-up kids arrive. */
const COOLDOWN_MS = 1_000
/** How long tokens are accepted while the factory does not answer: long enough for its restart. */
const STATUS_MAX_AGE_SECONDS = 60

export interface IssuedTokensOptions {
  readonly issuer: string
  readonly source: IssuedStatusSource
  /** The URI of the status lists in the tokens, which ends with a slash. */
  readonly statusListsUrl: string
  readonly audience: string
  /** The key ID that signs the tokens, and their subject. */
  readonly subject: string
  readonly leewaySeconds: number
  readonly clock: Clock
  readonly library: TokenLibrary
  readonly unusable: UnusableKeys
}

/**
 * Returns a verifier of jwt-factory's tokens that does not call it for each token: it needs the keys of the caller's key ID, and the
 * status lists. Only the ID of a list is taken from a token; the list is always loaded from the configured factory.
 */
export function issuedTokens({
  issuer,
  source,
  statusListsUrl,
  audience,
  subject,
  leewaySeconds,
  clock,
  library,
  unusable,
}: IssuedTokensOptions): (token: string) => Promise<VerifiedClaims> {
  const keysOf = (keyId: string) =>
    remoteKeys({
      issuer,
      load: () => source.jwks(keyId),
      maxAgeMs: KEYS_MAX_AGE_MS,
      cooldownMs: COOLDOWN_MS,
      // Like a list: keys that cannot be reloaded may have been withdrawn.
      maxStaleMs: STATUS_MAX_AGE_SECONDS * 1_000,
      onUnusable: unusable.of(`${issuer} (${keyId})`),
      onFailure: unusable.failureOf(`${issuer} (${keyId})`),
      clock,
    })
  const rules = {
    issuer,
    audience,
    subject,
    keys: keysOf(subject),
    maxLifetimeSeconds: MAX_LIFETIME_SECONDS,
    leewaySeconds,
    clock,
    library,
    statusList: remoteStatusLists({
      issuer,
      keys: keysOf(STATUS_LIST_KEY_ID),
      prefix: statusListsUrl,
      load: (uri) => source.statusList(uri.slice(statusListsUrl.length)),
      whenUnavailable: 'reject',
      maxAgeSeconds: STATUS_MAX_AGE_SECONDS,
      leewaySeconds,
      clock,
      library,
    }),
  }
  return (token) => verifyToken(token, rules)
}
