import { type Clock, HttpError } from '@hallpass/service-kit'
import type { Grant } from './grant.ts'

/** What is revoked: one token, everything of a subject, or everything of a session. */
export type RevocationKind = 'jti' | 'sub' | 'session'

export interface Revocation {
  readonly kind: RevocationKind
  readonly value: string
  /** Only tokens of this issuer; of every issuer when absent. */
  readonly issuer?: string | undefined
  /** Milliseconds since the epoch. Of a subject or a session, tokens issued later are good again. */
  readonly revokedAt: number
}

export interface RevocationOptions {
  readonly clock: Clock
  /** The longest life of a token: what was revoked longer ago is refused because it has expired. */
  readonly keepMs: number
}

/** An entry takes about 200 bytes, so that is 20 MB: somebody has revoked subjects or sessions, not this many tokens. */
const MAX_REVOCATIONS = 100_000

/** What has been revoked and could still be shown. Whoever holds open streams is told of each new one. */
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

  /** Those that could still be shown by a token. */
  get current(): readonly Revocation[] {
    this.#forgetExpired()
    return [...this.#entries.values()]
  }

  /** Called with each new revocation, from here or from another gateway. */
  onRevoked(listener: (revocation: Revocation) => void): void {
    this.#listeners.push(listener)
  }

  /** @throws {HttpError} 503 when no more can be remembered; open streams have ended all the same. */
  add(revocation: Revocation): void {
    this.#forgetExpired()
    const key = keyOf(revocation.kind, revocation.value, revocation.issuer)
    const known = this.#entries.get(key)
    if (known && known.revokedAt >= revocation.revokedAt) return
    for (const listener of this.#listeners) listener(revocation)
    this.#entries.delete(key)
    if (this.#entries.size >= MAX_REVOCATIONS)
      throw new HttpError(503, 'too_many_revocations', 'No more revocations can be remembered.')
    this.#entries.set(key, revocation)
  }

  /** Whether a grant is revoked by anything that is known. */
  cover(grant: Grant): boolean {
    return candidates(grant).some(([kind, value]) =>
      [undefined, grant.issuer].some((issuer) => {
        const revocation = this.#entries.get(keyOf(kind, value, issuer))
        return revocation !== undefined && covers(revocation, grant)
      }),
    )
  }

  /** The order of insertion is the order of time, so the oldest are at the front. */
  #forgetExpired() {
    const oldest = this.#options.clock() - this.#options.keepMs
    for (const [key, { revokedAt }] of this.#entries) {
      if (revokedAt > oldest) return
      this.#entries.delete(key)
    }
  }
}

/** Whether a revocation ends what a grant allows. A token that does not say when it was issued counts as an old one. */
export function covers({ kind, value, issuer, revokedAt }: Revocation, grant: Grant): boolean {
  if (issuer !== undefined && issuer !== grant.issuer) return false
  if (kind === 'jti') return grant.jti === value
  // `iat` is in whole seconds: a token of the same second may be older than the revocation.
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
