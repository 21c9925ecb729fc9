import type { Clock } from '@hallpass/service-kit'

/** A key that signs SVIDs for a limited time: an X.509 or a JWT authority. */
export interface Authority {
  /** Identifies an authority in the state file and on the command line. */
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
}

/**
 * The states of an authority: `prepared` (published, so that every verifier knows it before it signs), `active` (signs), `old`
 * (published until the last SVID that it signed has expired). Then it is removed.
 */
export type AuthorityState = 'prepared' | 'active' | 'old'

export interface Stage<A extends Authority> {
  readonly authority: A
  readonly state: AuthorityState
  /** When a prepared authority becomes the active one. */
  readonly activateAt?: number
  /** When an old authority leaves the bundle. */
  readonly retireAt?: number
}

export interface AuthorityCycleOptions<A extends Authority> {
  /** Creates a new authority, valid from now on. */
  readonly make: () => Promise<A>
  /** How long a new authority is published before it signs, so that verifiers learn of it in time. */
  readonly overlapMs: number
  /** Returns the maximum lifetime of SVIDs of this kind: how long an old authority must stay published. */
  readonly longestSvidMs: () => number
  readonly clock: Clock
}

/** The next authority is prepared at half of the active one's lifetime and takes over at five sixths, as in SPIRE. */
const PREPARE_AFTER = 1 / 2
const ACTIVATE_AFTER = 5 / 6

/** The authorities of one kind: exactly one signs, and each is published before it signs. */
export class AuthorityCycle<A extends Authority> {
  readonly #options: AuthorityCycleOptions<A>
  #stages: readonly Stage<A>[]
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: AuthorityCycleOptions<A>, stages: readonly Stage<A>[] = []) {
    this.#options = options
    this.#stages = stages
  }

  get stages(): readonly Stage<A>[] {
    return this.#stages
  }

  /** The signing authority. @throws before the first {@link advance} */
  get active(): A {
    const stage = this.#in('active')
    if (!stage) throw new Error('No active authority yet; call advance() first.')
    return stage.authority
  }

  /** The authorities that verifiers must trust. */
  get published(): A[] {
    return this.#stages.map(({ authority }) => authority)
  }

  /** Does what is due by the clock; returns true if anything changed. */
  advance(): Promise<boolean> {
    return this.#alone(async () => {
      const before = this.#stages
      const { clock, make, overlapMs } = this.#options
      const now = clock()
      this.#stages = this.#stages.filter(
        ({ authority, retireAt }) => now < Math.min(authority.notAfter, retireAt ?? authority.notAfter),
      )
      if (!this.#in('active') && !this.#in('prepared')) this.#add(await make(), now)
      const active = this.#in('active')?.authority
      if (active && !this.#in('prepared')) {
        const life = active.notAfter - active.notBefore
        if (now >= active.notBefore + life * PREPARE_AFTER)
          this.#add(await make(), Math.max(now + overlapMs, active.notBefore + life * ACTIVATE_AFTER))
      }
      const prepared = this.#in('prepared')
      if (prepared && (!active || now >= (prepared.activateAt ?? now))) this.#activate(now)
      return this.#stages !== before && !sameStages(this.#stages, before)
    })
  }

  /** Prepares the next authority now; the first {@link advance} after the overlap activates it. */
  rotate(): Promise<A> {
    return this.#alone(async () => {
      const activateAt = this.#options.clock() + this.#options.overlapMs
      const prepared = this.#in('prepared')
      if (!prepared) return this.#add(await this.#options.make(), activateAt)
      const sooner = Math.min(activateAt, prepared.activateAt ?? activateAt)
      this.#stages = this.#stages.map((stage) =>
        stage === prepared ? { ...stage, activateAt: sooner } : stage,
      )
      return prepared.authority
    })
  }

  /** Removes the old authorities from the bundle immediately: what they signed is rejected from now on. */
  retire(): Promise<A[]> {
    return this.#alone(async () => {
      const old = this.#stages.filter(({ state }) => state === 'old').map(({ authority }) => authority)
      this.#stages = this.#stages.filter(({ state }) => state !== 'old')
      return old
    })
  }

  #add(authority: A, activateAt: number): A {
    this.#stages = [...this.#stages, { authority, state: 'prepared', activateAt }]
    return authority
  }

  #activate(now: number) {
    const retireAt = now + this.#options.longestSvidMs()
    this.#stages = this.#stages.map(({ authority, state, ...times }) => {
      if (state === 'prepared') return { authority, state: 'active' as const }
      return state === 'active'
        ? { authority, state: 'old' as const, retireAt }
        : { authority, state, ...times }
    })
  }

  #in(state: AuthorityState): Stage<A> | undefined {
    return this.#stages.find((stage) => stage.state === state)
  }

  /** Runs changes sequentially: generating a key takes time, and concurrent changes would create two. */
  #alone<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change, change)
    this.#last = result.catch(() => {})
    return result
  }
}

const sameStages = (a: readonly Stage<Authority>[], b: readonly Stage<Authority>[]) =>
  a.length === b.length &&
  a.every(({ authority, state }, index) => authority === b[index]?.authority && state === b[index]?.state)
