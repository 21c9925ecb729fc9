import type { Clock } from '@hallpass/service-kit'
import { libraries, type SigningKey, signToken, type TokenLibrary } from '@hallpass/tokens'

/** A key that no longer signs, and the time when its last token expires. */
export interface RetiredKey {
  readonly key: SigningKey
  readonly untilMs: number
}

/** A key as shown to operators: its state, and since when, as far as this process knows. */
export interface KeyState {
  readonly kid: string
  readonly alg: string
  readonly state: 'published' | 'signing' | 'retired'
  /** Milliseconds since the epoch; for a loaded key, the start of this process. */
  readonly sinceMs: number
  /** When a retired key will be removed, in milliseconds since the epoch. */
  readonly untilMs?: number
}

/**
 * The keys of one key ID. A key passes through these states:
 *
 * created → published (verifiers can already see it) → signing → retired (still verifies) → removed
 *
 * A rotation moves every key one step. The next key has been published since the previous rotation, so verifiers that
 * cache the JWKS have it when its first token arrives. A retired key stays until its last token has expired, so no
 * valid token is rejected.
 */
export class KeyRing {
  readonly keyId: string
  readonly #clock: Clock
  #signing: SigningKey
  #next: SigningKey | undefined
  #retired: readonly RetiredKey[]
  /** When the last token signed with the signing key expires. */
  #signingUntilMs: number
  readonly #since = new WeakMap<SigningKey, number>()

  constructor(
    keyId: string,
    clock: Clock,
    keys: {
      readonly signing: SigningKey
      readonly next?: SigningKey | undefined
      readonly retired?: readonly RetiredKey[]
      /** For a key that has signed before: the latest possible expiry of its tokens. */
      readonly signingUntilMs?: number
    },
  ) {
    this.keyId = keyId
    this.#clock = clock
    this.#signing = keys.signing
    this.#next = keys.next
    this.#retired = keys.retired ?? []
    this.#signingUntilMs = keys.signingUntilMs ?? 0
    for (const key of this.published) this.#since.set(key, clock())
  }

  get signing(): SigningKey {
    return this.#signing
  }

  get next(): SigningKey | undefined {
    return this.#next
  }

  get retired(): readonly RetiredKey[] {
    const now = this.#clock()
    if (this.#retired.some(({ untilMs }) => untilMs <= now))
      this.#retired = this.#retired.filter(({ untilMs }) => untilMs > now)
    return this.#retired
  }

  /** The keys that a verifier may need, now or after the next rotation. */
  get published(): SigningKey[] {
    return [this.#signing, ...(this.#next ? [this.#next] : []), ...this.retired.map(({ key }) => key)]
  }

  /** Every key, in lifecycle order. */
  get states(): KeyState[] {
    const shown = (key: SigningKey, state: KeyState['state'], untilMs?: number): KeyState => ({
      kid: key.kid,
      alg: key.alg,
      state,
      sinceMs: this.#since.get(key) ?? this.#clock(),
      ...(untilMs === undefined ? {} : { untilMs }),
    })
    return [
      ...(this.#next ? [shown(this.#next, 'published')] : []),
      shown(this.#signing, 'signing'),
      ...this.retired.map(({ key, untilMs }) => shown(key, 'retired', untilMs)),
    ]
  }

  find(kid: string | undefined): SigningKey | undefined {
    if (this.#signing.kid === kid) return this.#signing
    return this.published.find((key) => key.kid === kid)
  }

  async sign(
    claims: Readonly<Record<string, unknown>>,
    lifetimeSeconds: number,
    library: TokenLibrary = libraries['node-crypto'],
    typ = 'JWT',
  ): Promise<string> {
    // Set before signing, which is asynchronous: a rotation meanwhile must know of this token.
    this.#signingUntilMs = Math.max(this.#signingUntilMs, this.#clock() + lifetimeSeconds * 1000)
    return signToken(claims, this.#signing, { lifetimeSeconds, typ, clock: this.#clock, library })
  }

  publish(next: SigningKey): void {
    this.#next = next
    this.#since.set(next, this.#clock())
  }

  /** Makes the published key the signing key and retires the previous one until its last token expires. */
  rotate(): void {
    if (!this.#next) throw new Error(`${this.keyId} has no published key to rotate to.`)
    const now = this.#clock()
    this.#since.set(this.#signing, now).set(this.#next, now)
    if (this.#signingUntilMs > now)
      this.#retired = [...this.retired, { key: this.#signing, untilMs: this.#signingUntilMs }]
    this.#signing = this.#next
    this.#next = undefined
    this.#signingUntilMs = 0
  }
}
