import { CONTROL_EVENTS, encodeEvent } from '@hallpass/event-stream'
import { EventBlock } from '@hallpass/event-stream/fan-out'
import type { Clock } from '@hallpass/service-kit'
import { type ChallengeSpread, Deadline, type TimerWheel } from '../timing/index.ts'
import type { StreamWriter } from '../writers/index.ts'
import type { Extension } from './extension.ts'
import type { StreamGrant } from './stream-grant.ts'

/**
 * Why a stream ended, as a stable code: one of these, which mean something to the session or to clients, or one of the
 * application's own. The client receives all except `client_gone`, and after `client_too_slow` only an aborted stream.
 */
export type EndReason =
  | 'token_expired'
  | 'token_revoked'
  | 'key_withdrawn'
  | 'stream_too_old'
  | 'shutting_down'
  /** The source of the events is lost: events may be missing, so the stream is aborted after its last event. */
  | 'upstream_failed'
  | 'client_too_slow'
  | 'client_gone'
  | (string & {})

export interface StreamLimits {
  /** How long before its token's expiry a stream sends a challenge. */
  readonly challengeWindowMs: number
  /** The maximum age of a stream, even if it is reauthorized; its client then reconnects. */
  readonly maxStreamAgeMs: number
  /** `reset` aborts expired streams without an `end` event, as Zilla does. */
  readonly endOfStream: 'end' | 'reset'
  /** The range of the random time that each client waits before it reconnects. */
  readonly retryMs: { readonly min: number; readonly max: number }
}

export interface StreamSessionOptions<Grant extends StreamGrant> {
  readonly path: string
  readonly grant: Grant
  /** An unguessable name of the stream, for requests on other connections. */
  readonly handle: string
  /** The connection of the stream; only compared. */
  readonly connection: object
  readonly protocol: string
  /** The selectors of the topics that the stream gets; absent: every event of the path. */
  readonly topics?: readonly string[] | undefined
  /** Returns what the stream has and a later grant does not allow, such as a topic; it then extends nothing. */
  readonly missing?: ((grant: Grant) => string | undefined) | undefined
  readonly writer: StreamWriter
  readonly limits: StreamLimits
  readonly wheel: TimerWheel
  readonly spread: ChallengeSpread
  readonly clock: Clock
  readonly onChallenged: () => void
  /** Called once, before anything of the end is sent: the stream gets no more events. */
  readonly onEnding: () => void
  readonly onEnded: (session: StreamSession<Grant>, reason: EndReason) => void
}

/** Exactly the documented bytes; a page builds its request from them. */
const CHALLENGE = new EventBlock(
  encodeEvent({
    event: CONTROL_EVENTS.challenge,
    data: '{"method":"POST","headers":{"content-type":"application/x-challenge-response"}}',
  }),
)

/**
 * The state of one stream, as determined by its token.
 *
 *   open ── the challenge window begins ──▶ challenged ── the token expires ──▶ ended
 *     ▲                                          │
 *     └───────────── reauthorized ───────────────┘
 *
 * `open`: the token is valid for longer than the window. `challenged`: a challenge has been sent. `ended`: nothing more is
 * sent. A stream also ends, from any state, when its token is revoked or the token's key withdrawn, the stream is too old, the
 * upstream or the client is lost, the client is too slow, or the gateway stops. Where many streams end together, each is
 * `ending` first: it gets no more events, and ends in one of the wheel's next slices.
 */
export class StreamSession<Grant extends StreamGrant = StreamGrant> {
  readonly path: string
  readonly handle: string
  readonly connection: object
  readonly protocol: string
  readonly topics: readonly string[] | undefined
  readonly openedAt: number
  readonly writer: StreamWriter
  readonly #options: StreamSessionOptions<Grant>
  readonly #deadline = new Deadline((now) => this.#wake(now))
  #state: 'open' | 'challenged' | 'ending' | 'ended' = 'open'
  #endReason: EndReason | undefined
  #grant: Grant
  #challengeAt: number
  /** The time at which the next challenge is due without the spread, while one is due. */
  #spreadFrom: number | undefined
  #challenges = 0
  #answers = 0

  constructor(options: StreamSessionOptions<Grant>) {
    this.#options = options
    this.path = options.path
    this.handle = options.handle
    this.connection = options.connection
    this.protocol = options.protocol
    this.topics = options.topics
    this.writer = options.writer
    this.openedAt = options.clock()
    this.#grant = options.grant
    this.#challengeAt = options.grant.expiresAt - options.limits.challengeWindowMs
  }

  /** Starts the timers; sends the challenge immediately if the token expires within the window. */
  start(): void {
    const now = this.#options.clock()
    if (this.#challengeAt > now) this.#planChallenge(this.#challengeAt, now)
    this.#wake(now)
  }

  /** Whether the stream can still be extended. */
  get isOpen(): boolean {
    return this.#state === 'open' || this.#state === 'challenged'
  }

  get state() {
    return this.#state
  }

  get grant(): Grant {
    return this.#grant
  }

  /** Returns when the current challenge is or was due, and how many challenges were sent and answered. */
  get challenge() {
    return { at: this.#challengeAt, sent: this.#challenges, answered: this.#answers }
  }

  /** Returns when the stream closes unless it is extended, in milliseconds since the epoch. */
  get endsAt(): number {
    return this.#endWith(this.#grant)
  }

  /** Returns whether a grant has the same issuer and subject as the current one. */
  belongsTo({ issuer, subject }: StreamGrant): boolean {
    return issuer === this.#grant.issuer && subject === this.#grant.subject
  }

  /**
   * Replaces the grant if the stream then stays open for longer: a stream is never shortened, and never older than its
   * maximum age. Returns `extended` also for the token that the last extension used, because a client repeats a response
   * whose 204 was lost.
   */
  reauthorize(grant: Grant): Extension {
    if (this.#isRepeated(grant)) return { outcome: 'extended' }
    const { clock, limits, missing: missingFrom } = this.#options
    const missing = missingFrom?.(grant)
    if (missing !== undefined) return { outcome: 'forbidden', missing }
    if (this.#endWith(grant) <= this.endsAt) {
      const { endsAt } = this
      return { outcome: 'not_extended', endsAt, tooOld: endsAt < this.#grant.expiresAt }
    }
    const now = clock()
    this.#grant = grant
    this.#answers += 1
    this.#state = 'open'
    // A token that expires within the window would be challenged immediately, and so would each successor, endlessly.
    const earliest = now + (grant.expiresAt - now) / 2
    this.#planChallenge(Math.max(grant.expiresAt - limits.challengeWindowMs, earliest), now)
    this.#arm()
    return { outcome: 'extended' }
  }

  /** Ends the stream in one of the wheel's next slices: for reasons that end many streams at once. */
  endSoon(reason: EndReason): void {
    if (!this.isOpen) return
    this.#state = 'ending'
    this.#endReason = reason
    this.#options.onEnding()
    this.#options.wheel.fireSoon(this.#deadline)
  }

  /** Sends the reason to the client and closes the stream. */
  end(reason: EndReason): void {
    if (this.#state === 'ended') return
    const { wheel, writer, limits, onEnding, onEnded } = this.#options
    if (this.#state !== 'ending') onEnding()
    this.#state = 'ended'
    this.#releaseSpread()
    wheel.disarm(this.#deadline)
    if (reason === 'client_too_slow') writer.abort('too_slow')
    else if (reason === 'token_expired' && limits.endOfStream === 'reset') writer.abort('compatibility')
    else if (reason !== 'client_gone') {
      writer.write(endEvent(reason, limits.retryMs))
      if (reason === 'upstream_failed') writer.abort('incomplete')
      else writer.end()
    }
    onEnded(this, reason)
  }

  #endWith({ expiresAt }: StreamGrant): number {
    return Math.min(expiresAt, this.openedAt + this.#options.limits.maxStreamAgeMs)
  }

  #isRepeated({ tokenId, expiresAt }: StreamGrant): boolean {
    return this.#answers > 0 && tokenId === this.#grant.tokenId && expiresAt === this.#grant.expiresAt
  }

  /** Plans the next challenge for a time, or earlier if many streams have theirs then; at least half of the time until then remains. */
  #planChallenge(dueAt: number, now: number) {
    this.#releaseSpread()
    // A token without an expiry is never challenged.
    if (dueAt === Number.POSITIVE_INFINITY) {
      this.#challengeAt = dueAt
      return
    }
    const { spread, limits } = this.#options
    this.#spreadFrom = dueAt
    this.#challengeAt = dueAt - Math.min(spread.claim(dueAt, limits.challengeWindowMs), (dueAt - now) / 2)
  }

  #releaseSpread() {
    if (this.#spreadFrom !== undefined) this.#options.spread.release(this.#spreadFrom)
    this.#spreadFrom = undefined
  }

  #arm() {
    const { endsAt } = this
    // If the maximum age closes the stream before its token expires, a new token would not help, so there is no challenge.
    const challengeFirst = this.#state === 'open' && endsAt === this.#grant.expiresAt
    this.#options.wheel.arm(this.#deadline, challengeFirst ? this.#challengeAt : endsAt)
  }

  #wake(now: number) {
    if (this.#endReason !== undefined) return this.end(this.#endReason)
    if (now >= this.endsAt) return this.end(now >= this.#grant.expiresAt ? 'token_expired' : 'stream_too_old')
    if (this.#state === 'open' && now >= this.#challengeAt && this.endsAt === this.#grant.expiresAt) {
      this.#state = 'challenged'
      this.#challenges += 1
      this.#releaseSpread()
      this.writer.write(CHALLENGE)
      this.#options.onChallenged()
    }
    this.#arm()
  }
}

/** Enough that clients do not reconnect at the same time, and few enough to encode each once. */
const RETRY_TIMES = 64
const endEvents = new Map<string, EventBlock>()

/** Returns the last event, with the reason and the retry time. It has no ID, so it does not change the client's position. */
function endEvent(reason: EndReason, { min, max }: StreamLimits['retryMs']): EventBlock {
  const retry = min + Math.floor(((max - min) / RETRY_TIMES) * Math.floor(Math.random() * RETRY_TIMES))
  const key = `${reason} ${retry}`
  let block = endEvents.get(key)
  if (block === undefined) {
    block = new EventBlock(
      encodeEvent({ event: CONTROL_EVENTS.end, data: JSON.stringify({ reason }), retry }),
    )
    endEvents.set(key, block)
  }
  return block
}
