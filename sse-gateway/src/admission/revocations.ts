import { type Clock, HttpError } from '@hallpass/service-kit'
import type { Grant } from './grant.ts'

/** What is revoked: one token, all tokens of a subject, or all tokens of a session. */
export type RevocationKind = 'jti' | 'sub' | 'session'

export interface Revocation {
  readonly kind: RevocationKind
  readonly value: string
  /** Limits the revocation to tokens of this issuer; absent: any issuer. */
  readonly issuer?: string | undefined
  /** Milliseconds since the epoch. Tokens that are issued later to the same subject or session are valid. */
  readonly revokedAt: number
  /** When every token that it covers is rejected anyway, in milliseconds since the epoch; Infinity: never. */
  readonly endsAt: number
}

export interface RevocationsOptions {
  readonly clock: Clock
  readonly max?: number
}

/** About 20 MB at 200 bytes per entry. To revoke this many tokens, revoke their subjects or sessions instead. */
const MAX_REVOCATIONS = 100_000

/** The revocations that this gateway knows, in memory. Notifies listeners of new ones. */
export class Revocations {
  readonly #clock: Clock
  readonly #max: number
  readonly #entries = new Map<string, Revocation>()
  readonly #listeners: ((revocation: Revocation) => void)[] = []
  /** No entry ends before this time, so none has to be looked for. */
  #firstEnd = Number.POSITIVE_INFINITY

  constructor({ clock, max = MAX_REVOCATIONS }: RevocationsOptions) {
    this.#clock = clock
    this.#max = max
  }

  get size(): number {
    return this.#entries.size
  }

  /** Returns the revocations whose tokens may still be accepted. */
  get current(): readonly Revocation[] {
    this.#forgetEnded()
    return [...this.#entries.values()]
  }

  /** Registers a listener for new revocations, from this or another gateway. */
  onRevoked(listener: (revocation: Revocation) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Adds a revocation that was requested here, and returns what is revoked now.
   * @throws {HttpError} 503 if no more can be stored; open streams have been closed nevertheless.
   */
  add(revocation: Revocation): Revocation {
    this.#forgetEnded()
    if (this.#entries.has(keyOf(revocation)) || this.#entries.size < this.#max) return this.take(revocation)
    this.#tell(revocation)
    throw new HttpError(
      503,
      'too_many_revocations',
      'The list of revocations is full. Revoke a subject or a session instead of single tokens.',
    )
  }

  /**
   * Takes a revocation that is stored, however many there are, and returns what is revoked now: of two revocations of the same
   * tokens, the later time and the later end.
   */
  take(revocation: Revocation): Revocation {
    const key = keyOf(revocation)
    const known = this.#entries.get(key)
    const merged = known ? later(known, revocation) : revocation
    if (known && isSame(known, merged)) return known
    if (merged.endsAt <= this.#clock()) return merged
    this.#entries.set(key, merged)
    this.#firstEnd = Math.min(this.#firstEnd, merged.endsAt)
    if (merged.revokedAt !== known?.revokedAt) this.#tell(merged)
    return merged
  }

  /** Returns whether any stored revocation covers a grant. */
  cover(grant: Grant): boolean {
    return candidates(grant).some(([kind, value]) =>
      [undefined, grant.issuer].some((issuer) => {
        const revocation = this.#entries.get(keyOf({ kind, value, issuer }))
        return revocation !== undefined && covers(revocation, grant)
      }),
    )
  }

  #tell(revocation: Revocation) {
    for (const listener of this.#listeners) listener(revocation)
  }

  #forgetEnded() {
    const now = this.#clock()
    if (now < this.#firstEnd) return
    this.#firstEnd = Number.POSITIVE_INFINITY
    for (const [key, { endsAt }] of this.#entries)
      if (endsAt <= now) this.#entries.delete(key)
      else this.#firstEnd = Math.min(this.#firstEnd, endsAt)
  }
}

/**
 * Returns whether a revocation covers a grant. A token without `iat` counts as issued before the revocation.
 *
 * A token that was issued just before a subject's revocation by an issuer whose clock is ahead, and is first used after it,
 * escapes within the clock tolerance. To cover it, every token of the seconds after the revocation would be rejected until
 * its expiry, although it comes from the login that often follows a revocation. Such a token can be revoked by its `jti`.
 */
export function covers({ kind, value, issuer, revokedAt }: Revocation, grant: Grant): boolean {
  if (issuer !== undefined && issuer !== grant.issuer) return false
  if (kind === 'jti') return grant.jti === value
  // `iat` is in whole seconds: a token of the same second can be older than the revocation.
  const issuedBefore = grant.issuedAt === undefined || grant.issuedAt <= revokedAt
  return (kind === 'sub' ? grant.subject : grant.session) === value && issuedBefore
}

/** Returns whether two revocations of the same tokens are equal. */
export const isSame = (one: Revocation, other: Revocation): boolean =>
  one.revokedAt === other.revokedAt && one.endsAt === other.endsAt

/** Identifies the tokens that a revocation covers. */
export const keyOf = ({ kind, value, issuer = '' }: Pick<Revocation, 'kind' | 'value' | 'issuer'>): string =>
  `${kind}\n${issuer}\n${value}`

const later = (one: Revocation, other: Revocation): Revocation => ({
  ...one,
  revokedAt: Math.max(one.revokedAt, other.revokedAt),
  endsAt: Math.max(one.endsAt, other.endsAt),
})

const candidates = ({ jti, subject, session }: Grant) =>
  (
    [
      ['jti', jti],
      ['sub', subject],
      ['session', session],
    ] as const
  ).filter((candidate): candidate is readonly [RevocationKind, string] => candidate[1] !== undefined)
