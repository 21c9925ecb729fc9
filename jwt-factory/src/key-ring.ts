import type { Clock } from '@hallpass/service-kit'
import { libraries, type SigningKey, signToken, type TokenLibrary } from '@hallpass/tokens'

/** A key that signs no more, and the moment when the last token that it signed expires. */
export interface RetiredKey {
  readonly key: SigningKey
  readonly untilMs: number
}

/** A key as an operator sees it: where it is in its life, and since when as far as this process knows. */
export interface KeyState {
  readonly kid: string
  readonly alg: string
  readonly state: 'published' | 'signing' | 'retired'
  /** Milliseconds since the epoch; a key of an earlier start counts from this one. */
  readonly sinceMs: number
  /** Of a retired key: when it leaves. */
  readonly untilMs?: number
}

/**
 * The keys of one key id, and their lives:
 *
 * created → published (verifiers already see it; it signs next) → signing → retired (verifies on) → removed
 *
 * A rotation moves every key one step at once. Because the next key has been published since the rotation before,
 * verifiers that cache the key set know it when its first token arrives; because the last one stays until its last
 * token has expired, no good token is refused.
 */
export class KeyRing {
  readonly keyId: string
  readonly #clock: Clock
  #signing: SigningKey
  #next: SigningKey | undefined
  #retired: readonly RetiredKey[]
  /** When the last token that the signing key has made expires. */
  #signingUntilMs: number
  readonly #since = new WeakMap<SigningKey, number>()

  constructor(
    keyId: string,
    clock: Clock,
    keys: {
      readonly signing: SigningKey
      readonly next?: SigningKey | undefined
      readonly retired?: readonly RetiredKey[]
      /** For a key that has signed before: when the last of its tokens may expire. */
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

  /** Every key that a verifier may meet, now or after the next rotation. */
  get published(): SigningKey[] {
    return [this.#signing, ...(this.#next ? [this.#next] : []), ...this.retired.map(({ key }) => key)]
  }

  /** Every key, in the order of their lives. */
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
  ): Promise<string> {
    // Before the signature, which takes its time: a rotation meanwhile must know of this token.
    this.#signingUntilMs = Math.max(this.#signingUntilMs, this.#clock() + lifetimeSeconds * 1000)
    return signToken(claims, this.#signing, { lifetimeSeconds, clock: this.#clock, library })
  }

  publish(next: SigningKey): void {
    this.#next = next
    this.#since.set(next, this.#clock())
  }

  /** The published key begins to sign; the one before verifies on while any of its tokens lives. */
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
