import type { Reader } from '@hallpass/event-stream/fan-out'
import { unavailable } from '../http/index.ts'
import { CatchUp, type CatchUpOptions } from './catch-up.ts'
import { refuseLongId } from './last-event-id.ts'
import { WaitingList } from './waiting-list.ts'

export interface CatchUpsOptions extends Omit<CatchUpOptions, 'lastEventId' | 'onDone'> {
  /** Called when a replay is opened. */
  readonly onOpen: () => void
}

/** Limits concurrent replays: after a restart of the gateway, thousands of clients can need one. */
const MAX_OPEN = 32
const WAIT_FOR_ONE_MS = 5_000

/** Runs the private replays of a path, a few at a time, for clients that need events older than the ring. */
export class CatchUps {
  readonly #options: CatchUpsOptions
  readonly #started = new Map<Reader, CatchUp>()
  readonly #waiting = new WaitingList()
  #open = 0

  constructor(options: CatchUpsOptions) {
    this.#options = options
  }

  /**
   * Opens a private replay. Returns `undefined` if the ring contains the ID, possibly because of another client's replay.
   * @throws {HttpError} 503 `too_many_replays`, 400 if the ID is too long, or the upstream's error.
   */
  async open(lastEventId: string): Promise<CatchUp | undefined> {
    const deadline = Date.now() + WAIT_FOR_ONE_MS
    while (this.#options.ring.positionAfter(lastEventId) === undefined) {
      refuseLongId(lastEventId)
      if (this.#open < MAX_OPEN) return this.#openOne(lastEventId)
      const left = deadline - Date.now()
      if (left <= 0)
        throw unavailable(503, 'too_many_replays', 'Too many clients are replaying old events. Retry later.')
      await this.#waiting.wait(left)
    }
    return undefined
  }

  async #openOne(lastEventId: string): Promise<CatchUp> {
    this.#open += 1
    this.#options.onOpen()
    const catchUp: CatchUp = new CatchUp({
      ...this.#options,
      lastEventId,
      onDone: (reader) => {
        this.#open -= 1
        if (reader) this.#started.delete(reader)
        this.#waiting.wakeAll()
      },
    })
    try {
      await catchUp.open()
      return catchUp
    } catch (error) {
      catchUp.cancel()
      throw error
    }
  }

  start(catchUp: CatchUp, reader: Reader): void {
    this.#started.set(reader, catchUp)
    catchUp.start(reader)
  }

  cancel(reader: Reader): void {
    this.#started.get(reader)?.cancel()
    this.#started.delete(reader)
  }

  /** Called when the ring has new events: a replay can have reached it. */
  ringGrew(): void {
    for (const catchUp of this.#started.values()) catchUp.ringGrew()
  }
}
