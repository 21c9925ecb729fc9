import type { EventLog } from '../log/index.ts'
import { toPublication } from '../publication/index.ts'
import type { StreamHub } from '../streaming/index.ts'

/** The one way into the log, for TCP, HTTP and standard input. */
export class Publisher {
  readonly #log: EventLog
  readonly #hub: StreamHub
  readonly #controlNames: boolean

  /** @param controlNames the original's `{"name":"clear"}`, which empties the log and is not streamed. */
  constructor(log: EventLog, hub: StreamHub, { controlNames }: { controlNames: boolean }) {
    this.#log = log
    this.#hub = hub
    this.#controlNames = controlNames
  }

  /**
   * Resolves with the id of the event.
   * @throws {PublicationError} when the object is no publication.
   * @throws {LogUnavailableError} when the log does not answer.
   */
  async publish(object: Readonly<Record<string, unknown>>): Promise<string> {
    if (this.#controlNames && object.name === 'clear') {
      await this.#log.clear()
      this.#hub.clearView()
      return ''
    }
    return this.#log.append(toPublication(object))
  }
}
