import type { StreamEvent } from '@hallpass/event-stream'
import type { HttpError, Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'
import { unavailable } from '../http/index.ts'
import { resumableId } from './client-event.ts'
import { UpstreamConnection, type UpstreamTarget } from './upstream-connection.ts'
import { WaitingList } from './waiting-list.ts'

export interface UpstreamOptions {
  readonly path: string
  readonly target: UpstreamTarget
  readonly log: Logger
  /** How long clients stay connected while the upstream is away. */
  readonly graceMs: number
  readonly onFlowing: () => void
  readonly onEvent: (event: StreamEvent) => void
  /** It is back, and what it sent meanwhile may be missing before the next event. */
  readonly onGap: () => void
  /** It has stayed away for the grace. */
  readonly onGivenUp: (how: 'ended' | 'failed') => void
  /** It is not read any more: what it sends from now on is missed. */
  readonly onAsleep: () => void
}

/** A page that reloads comes back at once; after that the upstream is free, within the second that is promised. */
const LINGER_MS = 500
const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A restart of the upstream takes about a second: a client that comes meanwhile waits instead of being refused. */
const WAIT_FOR_RETRY_MS = 2_000

/**
 * The life of the one upstream stream of a path.
 *
 *   asleep ── a client comes ──▶ connecting ── 200 ──▶ flowing ── lost ──▶ retrying ── 200 ──▶ flowing
 *     ▲                              │ refused            │                   │
 *     └──────────────────────────────┴─ the last client ──┴── grace is over ──┘
 *                                        has left
 *
 * A retry asks the upstream for what is behind the last id, so a client that stays connected misses nothing. Without an
 * id to name, nobody knows what was missed, and that is a gap.
 */
export class Upstream {
  /** How often it was lost and came back. */
  reconnects = 0
  readonly #options: UpstreamOptions
  #state: 'asleep' | 'connecting' | 'flowing' | 'retrying' = 'asleep'
  #connection: UpstreamConnection | undefined
  #connecting: Promise<void> | undefined
  /** From where the upstream can go on, if it has given an id. */
  #lastEventId: string | undefined
  #holds = 0
  /** Counts how often it fell asleep, so that an answer to an earlier question is recognised. */
  #awakening = 0
  #flowingSince = 0
  #retryDelay = FIRST_RETRY_MS
  #sleepTimer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #graceTimer: NodeJS.Timeout | undefined
  readonly #waitingForFlow = new WaitingList()
  #failure: HttpError | undefined

  constructor(options: UpstreamOptions) {
    this.#options = options
  }

  get state() {
    return this.#state
  }

  /** Keeps it awake until the returned function is called, once. */
  hold(): () => void {
    this.#holds += 1
    clearTimeout(this.#sleepTimer)
    return () => {
      this.#holds -= 1
      this.#sleepSoon()
    }
  }

  /**
   * Resolves when it flows; the caller must hold it.
   * @throws {HttpError} 502, 503 or 504 with `Retry-After` when it does not deliver.
   */
  async flow(): Promise<void> {
    if (this.#state === 'flowing') return
    if (this.#state === 'retrying') {
      await this.#waitingForFlow.wait(WAIT_FOR_RETRY_MS)
      if (this.#state === 'retrying')
        throw this.#failure ?? unavailable(502, 'upstream_lost', 'The upstream is away.')
      return this.flow()
    }
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  /** Closes the stream, and forgets where it was: what it sends from now on it replays to clients that ask for it. */
  sleep(): void {
    for (const timer of [this.#sleepTimer, this.#retryTimer, this.#graceTimer]) clearTimeout(timer)
    this.#graceTimer = undefined
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
    const connection = await UpstreamConnection.open(target, this.#lastEventId, {
      onEvent: (event) => {
        this.#lastEventId = resumableId(event)
        onEvent(event)
      },
      onOver: (how, error) => this.#lost(how, error),
    })
    if (awakening !== this.#awakening) {
      connection.close()
      throw unavailable(502, 'upstream_lost', 'The upstream was given up meanwhile.')
    }
    this.#connection = connection
    this.#state = 'flowing'
    this.#flowingSince = Date.now()
    log.info({ path }, 'the upstream flows')
  }

  #lost(how: 'ended' | 'failed', error?: Error) {
    const { log, path, graceMs } = this.#options
    log.warn({ path, how, err: error }, 'the upstream is lost')
    this.#connection = undefined
    if (this.#holds === 0) return this.sleep()
    this.#state = 'retrying'
    this.#failure = unavailable(502, 'upstream_lost', 'The upstream has gone away.', error)
    if (graceMs === 0) return this.#giveUp(how)
    this.#graceTimer ??= setTimeout(() => this.#giveUp(how), cappedMs(graceMs)).unref()
    if (Date.now() - this.#flowingSince > LAST_RETRY_MS) this.#retryDelay = FIRST_RETRY_MS
    this.#retryLater()
  }

  #retryLater() {
    // Several gateways lose one upstream at the same time; they should not all come back at the same time.
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
      // The grace may be over by now.
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

  #giveUp(how: 'ended' | 'failed') {
    this.#options.onGivenUp(how)
    this.sleep()
  }

  #sleepSoon() {
    clearTimeout(this.#sleepTimer)
    if (this.#holds > 0 || this.#state === 'asleep') return
    this.#sleepTimer = setTimeout(() => this.sleep(), LINGER_MS).unref()
  }
}
