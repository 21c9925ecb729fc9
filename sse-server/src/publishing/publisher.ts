import type { EventLog } from '../log/index.ts'
import { toPublication } from '../publication/index.ts'
import type { StreamHub } from '../streaming/index.ts'

/** Publishes objects from TCP, HTTP and standard input to the log. */
export class Publisher {
  readonly #log: EventLog
  readonly #hub: StreamHub
  readonly #controlNames: boolean

  /** @param controlNames whether `{"name":"clear"}` empties the log and is not streamed, as in Zilla's example server. */
  constructor(log: EventLog, hub: StreamHub, { controlNames }: { controlNames: boolean }) {
    this.#log = log
    this.#hub = hub
    this.#controlNames = controlNames
  }

  /**
   * Publishes an object, and resolves to the ID of the event.
   * @throws {PublicationError} if the object is not a valid publication.
   * @throws {LogUnavailableError} if the log does not respond.
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
