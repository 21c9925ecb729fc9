import { randomBytes } from 'node:crypto'
import type { Readable } from 'node:stream'
import { PeerError } from '@hallpass/service-kit'
import { GATEWAY, type GatewayAnswer, type GatewayDoor, refusalIn } from './gateway-door.ts'
import type { WatcherTokens } from './watcher-tokens.ts'

/** Enough for a room full of people; more pages are not opened by hand. */
const MAX_STREAMS = 200
/** The error code beyond that limit. */
export const TOO_MANY_WATCHERS = 'too_many_watchers'

interface OpenStream {
  readonly watcher: string
  /** The gateway's unguessable name of the stream; it never leaves this service. */
  readonly handle: string
}

export interface GatewayStreamsOptions {
  readonly door: GatewayDoor
  /** The path of the stream of hops, e.g. `/hops`. */
  readonly path: string
  readonly tokens: WatcherTokens
}

/** The streams of hops that this service keeps open at the gateway, one for each watching page. */
export class GatewayStreams {
  readonly #options: GatewayStreamsOptions
  readonly #open = new Map<string, OpenStream>()

  constructor(options: GatewayStreamsOptions) {
    this.#options = options
  }

  /**
   * Opens a stream with the watcher as its subject.
   * @throws {PeerError} if the gateway is unavailable or rejects the stream
   */
  async open(watcher: string, lastEventId: string | undefined) {
    if (this.#open.size >= MAX_STREAMS)
      throw new PeerError(
        GATEWAY,
        502,
        TOO_MANY_WATCHERS,
        `${MAX_STREAMS} pages are already watching. Close one of them and reload.`,
      )
    const { door, path, tokens } = this.#options
    const opened = await door.open({
      method: 'GET',
      path,
      token: await tokens.issue(watcher),
      headers: {
        accept: 'text/event-stream',
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
    })
    if (opened.status !== 200) throw await refusalOf(opened)
    const { data: events, headers } = opened
    const id = randomBytes(12).toString('base64url')
    this.#open.set(id, { watcher, handle: String(headers['stream-handle']) })
    events.on('close', () => this.#open.delete(id))
    return { id, events }
  }

  /**
   * Answers the gateway's challenge with a new token, so that the stream continues.
   * @returns the gateway's status, or 404 for a stream of another watcher
   */
  async renew(watcher: string, id: string): Promise<number> {
    const stream = this.#open.get(id)
    if (stream?.watcher !== watcher) return 404
    const { door, path, tokens } = this.#options
    const { status } = await door.ask({
      method: 'POST',
      path,
      token: await tokens.issue(watcher),
      headers: { 'content-type': 'application/x-challenge-response', 'stream-handle': stream.handle },
    })
    return status
  }
}

/** Returns the error of a rejection by the gateway itself or, with `upstream_away`, by the SSE server behind it. */
async function refusalOf({ status, data }: GatewayAnswer<Readable>): Promise<PeerError> {
  const { error } = (await refusalIn(data)) as { error?: { code?: string } }
  return new PeerError(
    GATEWAY,
    502,
    error?.code?.startsWith('upstream_') ? 'upstream_away' : 'stream_refused',
    `${GATEWAY} answered ${status} to the stream of hops.`,
  )
}
