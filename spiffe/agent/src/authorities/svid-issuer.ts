import type { Clock } from '@hallpass/service-kit'
import type { Entry } from '../entries/index.ts'
import type { Authorities } from './authorities.ts'
import { type IssuedX509Svid, issueX509Svid } from './certificate-authority.ts'
import { issueJwtSvid } from './jwt-authority.ts'

export interface SvidIssuerOptions {
  readonly authorities: Authorities
  readonly x509TtlSeconds: number
  readonly jwtTtlSeconds: number
  readonly jwtIssuer: string
  readonly clock: Clock
}

/** A currently issued X.509-SVID, without its private key. */
export interface HeldSvid {
  readonly entryId: string
  readonly spiffeId: string
  readonly authorityId: string
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
  readonly renewAt: number
}

interface Held {
  /** What the SVID was issued from; a change of the entry or the authority requires a new SVID. */
  readonly from: string
  readonly svid: Promise<IssuedX509Svid>
  renewAt: number
}

/** Issues SVIDs. All callers share an entry's current X.509-SVID, which is renewed at half of its lifetime. */
export class SvidIssuer {
  readonly #options: SvidIssuerOptions
  readonly #held = new Map<string, Held>()
  #issued = 0

  constructor(options: SvidIssuerOptions) {
    this.#options = options
  }

  /** The number of issued X.509-SVIDs, for the metrics. */
  get issued(): number {
    return this.#issued
  }

  /** Lists the current SVIDs with their validity and time of renewal. */
  async held(): Promise<HeldSvid[]> {
    const all = [...this.#held].map(async ([entryId, { svid, renewAt }]) => {
      const { spiffeId, authorityId, notBefore, notAfter } = await svid
      return { entryId, spiffeId, authorityId, notBefore, notAfter, renewAt }
    })
    // Skip SVIDs that could not be issued.
    const settled = await Promise.allSettled(all)
    return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  }

  x509Svid(entry: Entry): Promise<IssuedX509Svid> {
    const { authorities, x509TtlSeconds, clock } = this.#options
    const lifetimeMs = (entry.x509TtlSeconds ?? x509TtlSeconds) * 1000
    const authority = authorities.x509.active
    const from = JSON.stringify([authority.id, entry.spiffeId, entry.dnsNames, lifetimeMs])
    const held = this.#held.get(entry.id)
    const now = clock()
    if (held && held.from === from && now < held.renewAt) return held.svid
    const { spiffeId, dnsNames } = entry
    const svid = issueX509Svid(authority, { spiffeId, dnsNames, lifetimeMs, now })
    const fresh: Held = { from, svid, renewAt: now + Math.min(lifetimeMs, authority.notAfter - now) / 2 }
    this.#held.set(entry.id, fresh)
    this.#issued += 1
    svid.catch(() => this.#held.delete(entry.id))
    return svid
  }

  jwtSvid(entry: Entry, audience: readonly string[]): Promise<string> {
    const { authorities, jwtTtlSeconds, jwtIssuer, clock } = this.#options
    return issueJwtSvid(authorities.jwt.active, {
      spiffeId: entry.spiffeId,
      audience,
      issuer: jwtIssuer,
      lifetimeMs: (entry.jwtTtlSeconds ?? jwtTtlSeconds) * 1000,
      now: clock(),
    })
  }

  /** Tests whether an SVID is due for renewal; if so, its streams must be updated. */
  isRenewalDue(): boolean {
    const now = this.#options.clock()
    return [...this.#held.values()].some(({ renewAt }) => now >= renewAt)
  }

  /** Drops the SVIDs of removed entries. */
  keepOnly(entries: readonly Entry[]): void {
    const ids = new Set(entries.map(({ id }) => id))
    for (const id of this.#held.keys()) if (!ids.has(id)) this.#held.delete(id)
  }
}
