import type { StreamEvent } from '@hallpass/event-stream'
import type { HttpError, Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import { unavailable } from '../http/index.ts'
import { resumableId } from './client-event.ts'
import { TokenRenewal } from './token-renewal.ts'
import { isRejection, type Over, UpstreamConnection, type UpstreamTarget } from './upstream-connection.ts'
import { WaitingList } from './waiting-list.ts'

export interface UpstreamOptions {
  readonly path: string
  readonly target: UpstreamTarget
  readonly log: Logger
  /** How long clients stay connected while the upstream is unavailable. */
  readonly graceMs: number
  readonly onFlowing: () => void
  readonly onEvent: (event: StreamEvent) => void
  /** Called after a reconnect if events may be missing before the next one. */
  readonly onGap: () => void
  /** Called when the upstream has been unavailable for the grace period. */
  readonly onGivenUp: (how: 'ended' | 'failed') => void
  /** Called when the stream is closed: later events are missed. */
  readonly onAsleep: () => void
}

/** A page that reloads reconnects within this time; otherwise, the upstream is released within the promised second. */
const LINGER_MS = 500
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A connection of this age has recovered from what came before it, unless it is within an event that may never end. */
const STEADY_MS = LAST_RETRY_MS
/**
 * How many connections in a row the upstream can accept and lose without a new event: five retries, three seconds. A
 * process that restarts accepts none meanwhile, so it does not come near this; what fails six times fails again.
 */
const MAX_FRUITLESS = 6
/** Longer than clients wait before they reconnect (at most five seconds): an upstream that nobody needs is no problem. */
const NEEDED_MS = 6_000
/** A restart of the upstream takes about a second; a client that connects meanwhile waits instead of being rejected. */
const WAIT_FOR_RETRY_MS = 2_000

/**
 * Manages the one upstream stream of a path.
 *
 *   asleep ── first client ──▶ connecting ── 200 ──▶ flowing ── lost ──▶ retrying ── 200 ──▶ flowing
 *     ▲                            │ rejected           │                   │
 *     └────────────────────────────┴── the last client ─┴── grace is over ──┘
 *                                      disconnects
 *
 * A retry asks the upstream for the events after the last ID, so a client that stays connected misses nothing. Without an
 * ID, the missed events are unknown, and clients get a gap. Connections that are accepted but bring no new event are
 * fruitless; after {@link MAX_FRUITLESS} of them, the upstream is given up as after the grace period. Before the token of a
 * connection expires, another connection takes its place (see {@link TokenRenewal}).
 */
export class Upstream {
  /** The number of reconnects. */
  reconnects = 0
  readonly #options: UpstreamOptions
  #state: 'asleep' | 'connecting' | 'flowing' | 'retrying' = 'asleep'
  #connection: UpstreamConnection | undefined
  #connecting: Promise<void> | undefined
  /** The ID to resume from, if the upstream has sent one. */
  #lastEventId: string | undefined
  #holds = 0
  /** Counts the calls of `sleep`, so that a response to an earlier connection attempt is recognized as stale. */
  #awakening = 0
  #flowingSince = 0
  #retryDelay = FIRST_RETRY_MS
  #sleepTimer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #graceTimer: NodeJS.Timeout | undefined
  readonly #waitingForFlow = new WaitingList()
  #failure: HttpError | undefined
  #fruitless = 0
  /** Why the upstream was given up, until a connection is steady again or nobody needs the upstream. */
  #problem: string | undefined
  #neededAt = 0
  readonly #renewal: TokenRenewal

  constructor(options: UpstreamOptions) {
    this.#options = options
    this.#renewal = new TokenRenewal({
      credentials: options.target.credentials,
      canResume: () => this.#state === 'flowing' && this.#lastEventId !== undefined,
      connect: () => this.#open(),
      onLost: (how, error) => this.#lost(how, error),
      onFailed: (err) => options.log.warn({ path: options.path, err }, 'upstream token could not be renewed'),
    })
  }

  get state() {
    return this.#state
  }

  /** @throws {Error} with the reason, while clients need the upstream but streams cannot rely on it. */
  check(): void {
    this.#forgetProblem()
    if (this.#problem !== undefined) throw new Error(this.#problem)
  }

  /** Keeps the upstream open until the returned function is called, once. */
  hold(): () => void {
    this.#forgetProblem()
    this.#holds += 1
    clearTimeout(this.#sleepTimer)
    return () => {
      this.#holds -= 1
      this.#neededAt = Date.now()
      this.#sleepSoon()
    }
  }

  /**
   * Resolves when the upstream is connected; the caller must `hold` it.
   * @throws {HttpError} 502, 503 or 504 with `Retry-After` if it fails.
   */
  async flow(): Promise<void> {
    if (this.#state === 'flowing') return
    if (this.#state === 'retrying') {
      await this.#waitingForFlow.wait(WAIT_FOR_RETRY_MS)
      if (this.#state === 'retrying')
        throw this.#failure ?? unavailable(502, 'upstream_lost', 'The upstream is unavailable.')
      return this.flow()
    }
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  /** Closes the stream and drops its position; clients get later events by replay. */
  sleep(): void {
    this.#forgetProblem()
    for (const timer of [this.#sleepTimer, this.#retryTimer, this.#graceTimer]) clearTimeout(timer)
    this.#graceTimer = undefined
    this.#renewal.stop()
    this.#connection?.close()
    this.#connection = undefined
    this.#lastEventId = undefined
    this.#retryDelay = FIRST_RETRY_MS
    this.#awakening += 1
    this.#state = 'asleep'
    this.#options.onAsleep()
    this.#waitingForFlow.wakeAll()
  }

  async #connect(): Promise<void> {
    this.#state = 'connecting'
    try {
      await this.#open()
    } catch (error) {
      if (this.#state === 'connecting') this.#state = 'asleep'
      throw error
    }
    this.#options.onFlowing()
  }

  async #open(): Promise<void> {
    const { target, path, log, onEvent } = this.#options
    const awakening = this.#awakening
    const from = this.#lastEventId
    let delivered = false
    const opening = UpstreamConnection.open(target, from, {
      onEvent: (event) => {
        delivered = true
        this.#lastEventId = resumableId(event)
        onEvent(event)
      },
      onOver: (how, error) => {
        // Events that end where they began were sent before; without IDs, any event is a new one.
        const isFruitless = !delivered || (from !== undefined && this.#lastEventId === from)
        this.#fruitless = isFruitless ? this.#fruitless + 1 : 0
        if (!this.#renewal.keeps(how, error)) this.#lost(how, error)
      },
    })
    const connection = await opening.catch((error: unknown) => {
      this.#noteRejection(error)
      throw error
    })
    if (awakening !== this.#awakening) {
      connection.close()
      throw unavailable(502, 'upstream_lost', 'The upstream connection was closed meanwhile.')
    }
    this.#connection?.close()
    this.#connection = connection
    this.#renewal.follow(connection)
    this.#state = 'flowing'
    this.#flowingSince = Date.now()
    log.info({ path }, 'upstream connected')
  }

  #lost(how: Over, error?: Error) {
    const { log, path, graceMs } = this.#options
    log.warn({ path, how, err: error }, 'upstream disconnected')
    if (this.#isSteady) this.#retryDelay = FIRST_RETRY_MS
    this.#forgetProblem()
    this.#renewal.stop()
    this.#connection = undefined
    if (this.#holds === 0) return this.sleep()
    this.#state = 'retrying'
    this.#failure = unavailable(502, 'upstream_lost', 'The upstream has disconnected.', error)
    if (this.#fruitless >= MAX_FRUITLESS)
      return this.#giveUp(
        'failed',
        `The upstream accepted ${this.#fruitless} connections in a row, and each was lost without a new event.`,
      )
    // Clients have waited for as long as for one that is unavailable, and would get the same from the next connection.
    if (how === 'stuck') return this.#giveUp('failed', (error as Error).message)
    const giveUp = () =>
      this.#giveUp(how, `The upstream has been unavailable for more than ${graceMs / 1_000} s.`)
    if (graceMs === 0) return giveUp()
    this.#graceTimer ??= setTimeout(giveUp, cappedMs(graceMs)).unref()
    this.#retryLater()
  }

  #retryLater() {
    // Several gateways lose one upstream at the same time; they should not all reconnect at the same time.
    const delay = this.#retryDelay * (0.8 + 0.4 * Math.random())
    this.#retryDelay = Math.min(this.#retryDelay * 2, LAST_RETRY_MS)
    this.#retryTimer = setTimeout(() => void this.#retry(), cappedMs(delay)).unref()
  }

  async #retry(): Promise<void> {
    const resumes = this.#lastEventId !== undefined
    try {
      await this.#open()
    } catch (error) {
      this.#failure = error as HttpError
      // The grace period can be over by now.
      if (this.#state === 'retrying') this.#retryLater()
      return
    }
    if (this.#holds === 0) return this.sleep()
    clearTimeout(this.#graceTimer)
    this.#graceTimer = undefined
    this.reconnects += 1
    if (!resumes) this.#options.onGap()
    this.#waitingForFlow.wakeAll()
  }

  #giveUp(how: 'ended' | 'failed', problem: string) {
    const { log, path, onGivenUp } = this.#options
    log.error({ path, problem, err: this.#failure }, 'upstream given up')
    this.#problem = isRejection(this.#failure) ? this.#failure.message : problem
    onGivenUp(how)
    this.sleep()
  }

  /** No retry mends a credential that is not accepted, so readiness names it at once. */
  #noteRejection(error: unknown) {
    if (!isRejection(error)) return
    const { log, path } = this.#options
    if (this.#problem !== error.message) log.error({ path, err: error }, 'upstream rejects the gateway')
    this.#problem = error.message
  }

  get #isSteady(): boolean {
    const isOld = this.#state === 'flowing' && Date.now() - this.#flowingSince > STEADY_MS
    return isOld && !this.#connection?.isInside
  }

  #forgetProblem() {
    const isNeeded = this.#holds > 0 || Date.now() - this.#neededAt < NEEDED_MS
    if (isNeeded && !this.#isSteady) return
    this.#problem = undefined
    this.#fruitless = 0
  }

  #sleepSoon() {
    clearTimeout(this.#sleepTimer)
    if (this.#holds > 0 || this.#state === 'asleep') return
    this.#sleepTimer = setTimeout(() => this.sleep(), LINGER_MS).unref()
  }
}
