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
}

export interface RevocationOptions {
  readonly clock: Clock
  /** The maximum lifetime of a token: tokens that were revoked longer ago have expired. */
  readonly keepMs: number
}

/** About 20 MB at 200 bytes per entry. To revoke this many tokens, revoke their subjects or sessions instead. */
const MAX_REVOCATIONS = 100_000

/** Stores revocations until the revoked tokens expire, and notifies listeners of new ones. */
export class Revocations {
  readonly #options: RevocationOptions
  readonly #entries = new Map<string, Revocation>()
  readonly #listeners: ((revocation: Revocation) => void)[] = []

  constructor(options: RevocationOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  /** Returns the revocations whose tokens may not have expired yet. */
  get current(): readonly Revocation[] {
    this.#forgetExpired()
    return [...this.#entries.values()]
  }

  /** Registers a listener for new revocations, from this or another gateway. */
  onRevoked(listener: (revocation: Revocation) => void): void {
    this.#listeners.push(listener)
  }

  /** @throws {HttpError} 503 if no more can be stored; open streams have been closed nevertheless. */
  add(revocation: Revocation): void {
    this.#forgetExpired()
    const key = keyOf(revocation.kind, revocation.value, revocation.issuer)
    const known = this.#entries.get(key)
    if (known && known.revokedAt >= revocation.revokedAt) return
    for (const listener of this.#listeners) listener(revocation)
    this.#entries.delete(key)
    if (this.#entries.size >= MAX_REVOCATIONS)
      throw new HttpError(
        503,
        'too_many_revocations',
        'The list of revocations is full. Revoke a subject or a session instead of single tokens.',
      )
    this.#entries.set(key, revocation)
  }

  /** Returns whether any stored revocation covers a grant. */
  cover(grant: Grant): boolean {
    return candidates(grant).some(([kind, value]) =>
      [undefined, grant.issuer].some((issuer) => {
        const revocation = this.#entries.get(keyOf(kind, value, issuer))
        return revocation !== undefined && covers(revocation, grant)
      }),
    )
  }

  /** Entries are in order of time, so the oldest come first. */
  #forgetExpired() {
    const oldest = this.#options.clock() - this.#options.keepMs
    for (const [key, { revokedAt }] of this.#entries) {
      if (revokedAt > oldest) return
      this.#entries.delete(key)
    }
  }
}

/** Returns whether a revocation covers a grant. A token without `iat` counts as issued before the revocation. */
export function covers({ kind, value, issuer, revokedAt }: Revocation, grant: Grant): boolean {
  if (issuer !== undefined && issuer !== grant.issuer) return false
  if (kind === 'jti') return grant.jti === value
  // `iat` is in whole seconds: a token of the same second can be older than the revocation.
  const issuedBefore = grant.issuedAt === undefined || grant.issuedAt <= revokedAt
  return (kind === 'sub' ? grant.subject : grant.session) === value && issuedBefore
}

const candidates = ({ jti, subject, session }: Grant) =>
  (
    [
      ['jti', jti],
      ['sub', subject],
      ['session', session],
    ] as const
  ).filter((candidate): candidate is readonly [RevocationKind, string] => candidate[1] !== undefined)

const keyOf = (kind: RevocationKind, value: string, issuer = '') => `${kind}\n${issuer}\n${value}`
