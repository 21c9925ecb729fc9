import { CONTROL_EVENTS, encodeEvent } from '@hallpass/event-stream'
import { EventBlock } from '@hallpass/event-stream/fan-out'
import type { Clock } from '@hallpass/service-kit'
import type { Grant } from '../admission/index.ts'
import type { ClientWriter } from '../http/index.ts'
import type { UpstreamEnd } from '../upstream/index.ts'
import { Deadline, type TimerWheel } from './timer-wheel.ts'

/** Why a stream ended; metrics count them, and all but the last are told to the client. */
export type EndReason =
  | 'token_expired'
  | 'token_revoked'
  | 'stream_too_old'
  | 'shutting_down'
  | UpstreamEnd
  | 'client_gone'

export interface StreamLimits {
  /** How long before its token's expiry a stream is challenged. */
  readonly challengeWindowMs: number
  /** A stream ends at this age, however often it was reauthorized; then its client connects anew. */
  readonly maxStreamAgeMs: number
  /** `reset`: an expired stream is cut without a word, as the original gateway did. */
  readonly endOfStream: 'end' | 'reset'
  /** How long clients are told to wait before they come back: for each a time between these two. */
  readonly retryMs: { readonly min: number; readonly max: number }
}

export interface StreamSessionOptions {
  readonly path: string
  readonly grant: Grant
  /** Unguessable; names the stream to a request that comes from elsewhere. */
  readonly handle: string
  /** The connection that the stream is on; only compared. */
  readonly connection: object
  readonly protocol: string
  readonly writer: ClientWriter
  readonly limits: StreamLimits
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly onChallenged: () => void
  readonly onEnded: (session: StreamSession, reason: EndReason) => void
}

/** Byte for byte as documented; a page builds its request from it. */
const CHALLENGE = new EventBlock(
  encodeEvent({
    event: CONTROL_EVENTS.challenge,
    data: '{"method":"POST","headers":{"content-type":"application/x-challenge-response"}}',
  }),
)

/**
 * The life of one stream, as far as its token decides it.
 *
 *   open ── the challenge window begins ──▶ challenged ── the token expires ──▶ ended
 *     ▲                                          │
 *     └───────────── reauthorized ───────────────┘
 *
 * `open`: the token is good for longer than the window. `challenged`: the client has been asked for a new one.
 * `ended`: nothing is sent any more. Every state goes to `ended` at once when the token is revoked, the stream is too
 * old, the upstream or the client is gone, the client is too slow, or the gateway stops.
 */
export class StreamSession {
  readonly path: string
  readonly handle: string
  readonly connection: object
  readonly protocol: string
  readonly openedAt: number
  readonly writer: ClientWriter
  readonly #options: StreamSessionOptions
  readonly #deadline = new Deadline((now) => this.#wake(now))
  #state: 'open' | 'challenged' | 'ended' = 'open'
  #grant: Grant
  #challengeAt: number
  #challenges = 0
  #answers = 0

  constructor(options: StreamSessionOptions) {
    this.#options = options
    this.path = options.path
    this.handle = options.handle
    this.connection = options.connection
    this.protocol = options.protocol
    this.writer = options.writer
    this.openedAt = options.clock()
    this.#grant = options.grant
    this.#challengeAt = options.grant.expiresAt - options.limits.challengeWindowMs
  }

  /** From now on it is challenged and ended in time; at once, when its token has less than the window left. */
  start(): void {
    this.#wake(this.#options.clock())
  }

  get state() {
    return this.#state
  }

  get grant(): Grant {
    return this.#grant
  }

  /** When it will be, or was, asked for a new token; how often it has been, and how often it got one. */
  get challenge() {
    return { at: this.#challengeAt, sent: this.#challenges, answered: this.#answers }
  }

  /** Milliseconds since the epoch, as things stand. */
  get endsAt(): number {
    return Math.min(this.#grant.expiresAt, this.openedAt + this.#options.limits.maxStreamAgeMs)
  }

  /** Whether a grant speaks for the same one as the present grant. */
  belongsTo({ issuer, subject }: Grant): boolean {
    return issuer === this.#grant.issuer && subject === this.#grant.subject
  }

  /** Goes on with a new grant, unless that ends earlier than the present one: a stream is never shortened. */
  reauthorize(grant: Grant): void {
    if (this.#state === 'ended' || grant.expiresAt <= this.#grant.expiresAt) return
    const { clock, limits } = this.#options
    const now = clock()
    this.#grant = grant
    this.#answers += 1
    this.#state = 'open'
    // A token that lives for less than the window would be challenged at once, and its successor too, without end.
    const earliest = now + (grant.expiresAt - now) / 2
    this.#challengeAt = Math.max(grant.expiresAt - limits.challengeWindowMs, earliest)
    this.#arm()
  }

  /** Tells the client why, and ends the stream. */
  end(reason: EndReason): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    const { wheel, writer, limits, onEnded } = this.#options
    wheel.disarm(this.#deadline)
    if (reason === 'client_too_slow') writer.abort('too_slow')
    else if (reason === 'token_expired' && limits.endOfStream === 'reset') writer.abort('compatibility')
    else if (reason !== 'client_gone') {
      writer.write(endEvent(reason, limits.retryMs))
      if (reason === 'upstream_failed') writer.abort('upstream_failed')
      else writer.end()
    }
    onEnded(this, reason)
  }

  #arm() {
    const { endsAt } = this
    // When the age ends the stream before its token does, a new token would not help, and none is asked for.
    const challengeFirst = this.#state === 'open' && endsAt === this.#grant.expiresAt
    this.#options.wheel.arm(this.#deadline, challengeFirst ? this.#challengeAt : endsAt)
  }

  #wake(now: number) {
    if (now >= this.endsAt) return this.end(now >= this.#grant.expiresAt ? 'token_expired' : 'stream_too_old')
    if (this.#state === 'open' && now >= this.#challengeAt && this.endsAt === this.#grant.expiresAt) {
      this.#state = 'challenged'
      this.#challenges += 1
      this.writer.write(CHALLENGE)
      this.#options.onChallenged()
    }
    this.#arm()
  }
}

/** The last event: why, and how long to wait before the next try. It has no id, so it moves nobody's position. */
function endEvent(reason: EndReason, { min, max }: StreamLimits['retryMs']): EventBlock {
  const retry = min + Math.floor(Math.random() * (max - min))
  return new EventBlock(encodeEvent({ event: CONTROL_EVENTS.end, data: JSON.stringify({ reason }), retry }))
}
