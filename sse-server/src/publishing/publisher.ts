import { type EventLog, IdConflictError } from '../log/index.ts'
import { PublicationError, toPublication } from '../publication/index.ts'
import type { StreamHub } from '../streaming/index.ts'

type JsonObject = Readonly<Record<string, unknown>>

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
   * @throws {PublicationError} if the object is not a valid publication, or its ID is stored with other content.
   * @throws {LogUnavailableError} if the log does not respond.
   */
  async publish(object: JsonObject): Promise<string> {
    if (this.#clears(object)) {
      await this.#log.clear()
      this.#hub.clearView()
      return ''
    }
    const [id] = await this.#log.append([toPublication(object)])
    return id as string
  }

  /**
   * Publishes all objects in their order, or none, and resolves to the IDs of the events.
   * @throws {PublicationError} for the first that is refused, with its index in the message.
   * @throws {LogUnavailableError} if the log does not respond.
   */
  async publishAll(objects: readonly JsonObject[]): Promise<string[]> {
    const publications = objects.map((object, index) => {
      try {
        if (this.#clears(object))
          throw new PublicationError('bad_member', 'clear empties the log, so it cannot be part of a batch.')
        return toPublication(object)
      } catch (error) {
        throw atIndex(index, error)
      }
    })
    try {
      return await this.#log.append(publications)
    } catch (error) {
      throw error instanceof IdConflictError ? atIndex(error.index, error) : error
    }
  }

  #clears(object: JsonObject): boolean {
    return this.#controlNames && object.name === 'clear'
  }
}

const atIndex = (index: number, error: unknown) =>
  error instanceof PublicationError ? new PublicationError(error.code, `[${index}]: ${error.message}`) : error
