import { createPublicKey, type KeyObject } from 'node:crypto'
import { ALGORITHMS, type Algorithm, type VerificationKey } from '@hallpass/tokens'

/**
 * `published`: in the key set, signs from the next rotation on. `signing`: signs all new tokens. `retired`: verifies the
 * tokens that it has signed. `withdrawn`: refused everywhere, because it may be known to others.
 */
export type KeyState = 'published' | 'signing' | 'retired' | 'withdrawn'

/** A key as stored. */
interface StoredKey {
  readonly kid: string
  readonly alg: Algorithm
  readonly state: KeyState
  /** When this state began, in milliseconds since the epoch. */
  readonly sinceMs: number
  /** When a retired key is removed. */
  readonly untilMs?: number
  /** The public half, SPKI in base64. */
  readonly spki: string
  /** Which signers made the key, and their reference to its private half; none once it can no longer sign. */
  readonly signer?: string
  readonly reference?: string
}

/** A key of a ring. Its public half is parsed when it is first needed: an issuer of 10,000 key IDs starts at once. */
export class RingKey implements VerificationKey {
  readonly stored: StoredKey
  #publicKey: KeyObject | undefined

  constructor(stored: StoredKey, publicKey?: KeyObject) {
    this.stored = stored
    this.#publicKey = publicKey
  }

  get kid(): string {
    return this.stored.kid
  }

  get alg(): Algorithm {
    return this.stored.alg
  }

  get state(): KeyState {
    return this.stored.state
  }

  get publicKey(): KeyObject {
    this.#publicKey ??= createPublicKey({
      key: Buffer.from(this.stored.spki, 'base64'),
      format: 'der',
      type: 'spki',
    })
    return this.#publicKey
  }

  /** Makes the key as it is in another state. */
  in(state: KeyState, sinceMs: number, untilMs?: number): RingKey {
    const { signer: _, reference: __, untilMs: ___, ...rest } = this.stored
    const { signer, reference } = this.stored
    // A wrapped private half exists only here: without it, nobody can sign with a retired key any more.
    const canSign = state === 'published' || state === 'signing'
    const keepsReference = canSign || (state === 'retired' && signer !== 'wrapped')
    return new RingKey(
      {
        ...rest,
        state,
        sinceMs,
        ...(untilMs === undefined ? {} : { untilMs }),
        ...(keepsReference && signer !== undefined && reference !== undefined ? { signer, reference } : {}),
      },
      this.#publicKey,
    )
  }
}

/** Makes a key that has just been created. */
export function newKey(
  { kid, alg, publicKey }: VerificationKey<Algorithm>,
  state: KeyState,
  sinceMs: number,
  more: { readonly signer?: string; readonly reference?: string; readonly untilMs?: number } = {},
): RingKey {
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  return new RingKey({ kid, alg, state, sinceMs, spki, ...more }, publicKey)
}

/** A key as shown to operators. */
export interface ShownKey {
  readonly kid: string
  readonly alg: string
  readonly state: KeyState
  /** Milliseconds since the epoch. */
  readonly sinceMs: number
  /** When a retired key will be removed, in milliseconds since the epoch. */
  readonly untilMs?: number
}

/**
 * Withdrawn keys are remembered, so that a PEM file of one is never imported again and its refusal can be explained. More
 * than these of one key ID are forgotten, oldest first; their tokens are then refused as signed with an unknown key.
 */
const MAX_WITHDRAWN = 50
/** The version of the records. A release that changes what a reader must know raises it, and reads the older ones. */
const RECORD_VERSION = 1
/** More than clocks may differ. */
const LOST_MARGIN_MS = 120_000
/** The suite's verifiers accept at most this many keys in a set (packages/tokens, `parseJwks`). */
export const MAX_KEYS_IN_SET = 100

/** Reports a record that a newer release has written: this one could lose what it does not know. */
export class NewerRecordError extends Error {
  override readonly name = 'NewerRecordError'

  constructor(keyId: string, version: number) {
    super(
      `The record of the key ID ${keyId} was written by a newer release (version ${version}; this one knows ${RECORD_VERSION}). Upgrade this replica.`,
    )
  }
}

/**
 * The keys of one key ID, as one record of the store: a change makes a new ring, which replaces the old one whole or not
 * at all.
 *
 * created → published (verifiers can already see it) → signing → retired (still verifies) → removed
 */
export class KeyRing {
  readonly keyId: string
  readonly keys: readonly RingKey[]
  /** When all keys were last withdrawn, in milliseconds since the epoch. */
  readonly allWithdrawnMs: number | undefined
  readonly #byKid: ReadonlyMap<string, RingKey>

  /** @throws {TypeError} unless exactly one key signs and at most one is published in advance. */
  constructor(keyId: string, keys: readonly RingKey[], allWithdrawnMs?: number) {
    const inState = (state: KeyState) => keys.filter((key) => key.state === state).length
    if (inState('signing') !== 1 || inState('published') > 1)
      throw new TypeError(`${keyId} needs one signing key, and at most one next key.`)
    this.keyId = keyId
    this.keys = keys
    this.allWithdrawnMs = allWithdrawnMs
    this.#byKid = new Map(keys.map((key) => [key.kid, key]))
  }

  /**
   * Reads a record of the store.
   * @param known the ring as it was: the parsed public halves of unchanged keys are kept.
   * @throws {NewerRecordError} if a newer release has written it.
   * @throws {Error} if the record is damaged.
   */
  static parse(keyId: string, text: string, known?: KeyRing): KeyRing {
    const {
      v = RECORD_VERSION,
      keys,
      allWithdrawnMs,
    } = JSON.parse(text) as { v?: number; keys: StoredKey[]; allWithdrawnMs?: number }
    if (v > RECORD_VERSION) throw new NewerRecordError(keyId, v)
    if (!Array.isArray(keys) || !keys.every(({ alg }) => ALGORITHMS.includes(alg)))
      throw new TypeError(`The record of ${keyId} is damaged.`)
    return new KeyRing(
      keyId,
      keys.map((stored) => {
        const old = known?.keyNamed(stored.kid)
        if (!old || old.stored.spki !== stored.spki) return new RingKey(stored)
        return isSame(old.stored, stored) ? old : new RingKey(stored, old.publicKey)
      }),
      allWithdrawnMs,
    )
  }

  /** Prints the record for the store. */
  print(): string {
    const { keys, allWithdrawnMs } = this
    return JSON.stringify({ v: RECORD_VERSION, keys: keys.map(({ stored }) => stored), allWithdrawnMs })
  }

  get signing(): RingKey {
    return this.keys.find(({ state }) => state === 'signing') as RingKey
  }

  get next(): RingKey | undefined {
    return this.keys.find(({ state }) => state === 'published')
  }

  /** The retired keys that still verify, the newest first. */
  retired(nowMs: number): RingKey[] {
    return this.keys
      .filter(({ state, stored }) => state === 'retired' && (stored.untilMs ?? 0) > nowMs)
      .sort((a, b) => b.stored.sinceMs - a.stored.sinceMs)
  }

  /** The keys for a key set: those that a verifier may need, now or after the next rotation. */
  published(nowMs: number): RingKey[] {
    const { signing, next } = this
    return [signing, ...(next ? [next] : []), ...this.retired(nowMs)].slice(0, MAX_KEYS_IN_SET)
  }

  /** When a key last changed its state. */
  get changedMs(): number {
    return Math.max(...this.keys.map(({ stored }) => stored.sinceMs))
  }

  /** Every key, in lifecycle order. */
  states(nowMs: number): ShownKey[] {
    const { signing, next, keys } = this
    const withdrawn = keys.filter(({ state }) => state === 'withdrawn')
    return [...(next ? [next] : []), signing, ...this.retired(nowMs), ...withdrawn].map(
      ({ stored: { kid, alg, state, sinceMs, untilMs } }) => ({
        kid,
        alg,
        state,
        sinceMs,
        ...(untilMs === undefined ? {} : { untilMs }),
      }),
    )
  }

  /**
   * Finds a key that has not been removed, by its kid. A withdrawn one is found too, so that its refusal can name the reason;
   * a published one because another replica may already sign with it.
   */
  find(kid: string | undefined, nowMs: number): RingKey | undefined {
    const key = kid === undefined ? undefined : this.#byKid.get(kid)
    return key?.state === 'retired' && (key.stored.untilMs ?? 0) <= nowMs ? undefined : key
  }

  /** Finds a key by its kid, also one that is only remembered. */
  keyNamed(kid: string): RingKey | undefined {
    return this.#byKid.get(kid)
  }

  /** Returns the ring with this next key; replaces one that never signed. */
  withNext(next: RingKey, nowMs: number): KeyRing {
    const others = this.keys.filter(({ state }) => state !== 'published')
    return new KeyRing(this.keyId, [...kept(others, nowMs), next], this.allWithdrawnMs)
  }

  /**
   * Returns the ring after a rotation: `next` signs, and the previous key verifies until `untilMs`. A published key of
   * another algorithm, which never signed, is dropped.
   */
  rotated(next: RingKey, nowMs: number, untilMs: number): KeyRing {
    const others = this.keys.filter(({ state, kid }) => state !== 'published' && kid !== next.kid)
    return new KeyRing(
      this.keyId,
      [
        next.in('signing', nowMs),
        ...kept(others, nowMs).map((key) =>
          key.state === 'signing' ? key.in('retired', nowMs, untilMs) : key,
        ),
      ],
      this.allWithdrawnMs,
    )
  }

  /**
   * Returns the ring without these keys.
   * @param successor signs from now on; required if the signing key is withdrawn.
   */
  withdrawn(kids: ReadonlySet<string>, nowMs: number, successor?: RingKey, all = false): KeyRing {
    const others = kept(this.keys, nowMs).filter(({ kid }) => kid !== successor?.kid)
    return new KeyRing(
      this.keyId,
      [
        ...(successor ? [successor.in('signing', nowMs)] : []),
        ...others.map((key) => (kids.has(key.kid) ? key.in('withdrawn', nowMs) : key)),
      ],
      all ? nowMs : this.allWithdrawnMs,
    )
  }

  /**
   * Returns whether this ring lacks a change of one that was stored before: a key that has signed, or a withdrawal. Only a
   * store that has lost its last writes does, e.g. by a failover.
   * @param retiredForMs how long a key stays that no longer signs, at least.
   */
  hasLost(known: KeyRing, nowMs: number, retiredForMs: number): boolean {
    return known.keys.some(({ kid, state, stored: { sinceMs, untilMs = sinceMs + retiredForMs } }) => {
      const here = this.keyNamed(kid)
      if (state === 'withdrawn') return here !== undefined && here.state !== 'withdrawn'
      // Before that, no replica can have removed it, whose clock may differ.
      return here === undefined && state !== 'published' && untilMs > nowMs + LOST_MARGIN_MS
    })
  }

  /**
   * Returns this ring with what it has lost of another: each key that has signed verifies, and each withdrawn one stays so. Of
   * both signing keys, the later one signs.
   * @param untilMs when a key is removed that signed until now.
   * @returns undefined if all keys that could sign are withdrawn.
   */
  joined(known: KeyRing, nowMs: number, untilMs: number): KeyRing | undefined {
    const rings = [known, this]
    const isIn = (state: KeyState, kid: string) => rings.some((ring) => ring.keyNamed(kid)?.state === state)
    const rank = ({ kid, state }: RingKey) => Number(isIn('retired', kid)) * 2 + Number(state !== 'signing')
    const [signing] = rings
      .flatMap((ring) => (ring.next ? [ring.signing, ring.next] : [ring.signing]))
      .filter(({ kid }) => !isIn('withdrawn', kid))
      .sort((a, b) => rank(a) - rank(b) || b.stored.sinceMs - a.stored.sinceMs)
    if (!signing) return undefined
    const others = new Map(rings.flatMap(({ keys }) => keys).map((key) => [key.kid, key]))
    others.delete(signing.kid)
    const joined = [...others.values()].flatMap((key) => {
      if (isIn('withdrawn', key.kid)) return [key.state === 'withdrawn' ? key : key.in('withdrawn', nowMs)]
      // One that only waits to sign is made again.
      if (key.state === 'published' && !isIn('signing', key.kid) && !isIn('retired', key.kid)) return []
      return [key.state === 'retired' ? key : key.in('retired', nowMs, untilMs)]
    })
    return new KeyRing(
      this.keyId,
      [signing.state === 'signing' ? signing : signing.in('signing', nowMs), ...kept(joined, nowMs)],
      Math.max(this.allWithdrawnMs ?? 0, known.allWithdrawnMs ?? 0) || undefined,
    )
  }

  /** Returns the ring with keys of another source that verify until they expire. */
  withRetired(keys: readonly RingKey[], nowMs: number): KeyRing {
    return new KeyRing(this.keyId, [...kept(this.keys, nowMs), ...keys], this.allWithdrawnMs)
  }
}

/** Drops retired keys whose last token has expired, and the oldest withdrawn ones. */
function kept(keys: readonly RingKey[], nowMs: number): RingKey[] {
  const oldest = keys
    .filter(({ state }) => state === 'withdrawn')
    .sort((a, b) => b.stored.sinceMs - a.stored.sinceMs)
    .slice(MAX_WITHDRAWN)
  return keys.filter(
    (key) => !oldest.includes(key) && !(key.state === 'retired' && (key.stored.untilMs ?? 0) <= nowMs),
  )
}

const isSame = (a: StoredKey, b: StoredKey) =>
  a.state === b.state && a.sinceMs === b.sinceMs && a.untilMs === b.untilMs && a.reference === b.reference
