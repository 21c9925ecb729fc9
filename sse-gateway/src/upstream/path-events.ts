import { toHeaderValue } from '@hallpass/event-stream'
import {
  EventRing,
  type EventSelection,
  type EventWriter,
  FanOut,
  type Reader,
  type RingEvent,
  type RingLimits,
} from '@hallpass/event-stream/fan-out'
import type { TopicSelectors } from '@hallpass/event-stream/topics'
import { type CatchUp, CatchUps, type CatchUpsOptions } from './catch-ups/index.ts'
import { GAP, toClientEvent } from './client-event.ts'
import { refuseLongId } from './last-event-id.ts'
import { selectionOf, withTopics } from './topic-events.ts'
import { Upstream, type UpstreamOptions } from './upstream.ts'
import type { UpstreamTarget } from './upstream-connection.ts'

/** Why the upstream side closes a client's stream. */
export type UpstreamEnd = 'upstream_ended' | 'upstream_failed' | 'client_too_slow' | 'replay_busy'

export interface PathEventsOptions extends Pick<UpstreamOptions, 'path' | 'log' | 'graceMs'> {
  readonly target: Omit<UpstreamTarget, 'onSkipped'>
  readonly ring: RingLimits
  /** Clients that were sent nothing else for this long get a comment. */
  readonly heartbeatMs: number
  /** See {@link CatchUpsOptions}. */
  readonly quietMs: number
  readonly replays: CatchUpsOptions['times']
  /** Whether clients get the events of topics; the upstream must then tell the topic of each event. */
  readonly hasTopics: boolean
}

/** A client's position in the events, reserved before its stream opens, so that a rejection can still set the status. */
export interface Place {
  /**
   * After which ID the events follow, as a header value: the requested one, or what the upstream says, such as `earliest` if it
   * no longer has the next events. Undefined if that is not known, also while the client waits for its replay.
   */
  readonly follows: string | undefined
  /** Starts sending events. Calls `onEnd` once, unless the returned reader leaves first. */
  start(writer: EventWriter, onEnd: (how: UpstreamEnd) => void): Reader
  release(): void
}

interface Client {
  readonly onEnd: (how: UpstreamEnd) => void
  readonly release: () => void
}

interface Reservation {
  readonly release: () => void
  readonly selection: EventSelection<RingEvent> | undefined
  readonly begin: (reader: Reader) => void
  readonly follows: string | undefined
  readonly catchUp: CatchUp | undefined
}

/** The events of one path: one upstream stream, sent to all clients of this gateway. */
export class PathEvents {
  /** The number of events that were too large, in the shared stream and in private replays. */
  skipped = 0
  readonly upstream: Upstream
  readonly #ring: EventRing
  readonly #fanOut: FanOut
  readonly #catchUps: CatchUps
  readonly #clients = new Map<Reader, Client>()

  constructor(options: PathEventsOptions) {
    const { ring: limits, heartbeatMs, quietMs, path, log, replays: times, hasTopics } = options
    const target: UpstreamTarget = {
      ...(hasTopics ? withTopics(options.target) : options.target),
      onSkipped: ({ bytes, maxEventBytes, id }) => {
        this.skipped += 1
        log.warn({ path, bytes, limit: maxEventBytes, id }, 'event skipped')
      },
    }
    this.#ring = new EventRing(limits)
    this.#fanOut = new FanOut({
      ring: this.#ring,
      heartbeatMs,
      // A dropped client reconnects with its last ID and gets a replay, so these limits are not needed.
      limits: { maxWaitingBytes: Number.POSITIVE_INFINITY, maxStalledMs: Number.POSITIVE_INFINITY },
      onDelivered: () => this.#catchUps.ringGrew(),
    })
    this.#catchUps = new CatchUps({
      target,
      limits,
      quietMs,
      heartbeatMs,
      times,
      ring: this.#ring,
      onEnd: (reader, how) => this.#end(reader, how),
    })
    this.upstream = new Upstream({
      ...options,
      target,
      onFlowing: () => this.#fanOut.start(),
      onEvent: (event) => this.#add(toClientEvent(event)),
      onGap: () => this.#add(GAP),
      onGivenUp: (how) => this.#endAll(how === 'ended' ? 'upstream_ended' : 'upstream_failed'),
      onAsleep: () => {
        this.#fanOut.stop()
        this.#ring.forget()
      },
    })
  }

  get figures() {
    return this.#fanOut.figures
  }

  /** Returns the number of private replays since the start and now, and of clients that wait for one. */
  get replays() {
    return this.#catchUps.figures
  }

  /** Returns the most bytes that any client had pending since the last call. */
  takeHighWater(): number {
    return this.#fanOut.takeHighWater()
  }

  /**
   * Opens the upstream connection and reserves a position in its events: after `lastEventId` or at the newest event. A
   * client that must wait for its replay gets a place at once, and waits in its stream.
   * @param owner the owner of the stream; owners share the replays.
   * @param topics the topics whose events the client gets, besides those without a topic; by default every event
   * @throws {HttpError} 502, 503 or 504 with `Retry-After` if the upstream fails, 400 if the ID is too long.
   */
  async reserve(owner: string, lastEventId?: string, topics?: TopicSelectors): Promise<Place> {
    // An ID that is in the ring is accepted at any length.
    const isInRing = () => lastEventId !== undefined && this.#ring.positionAfter(lastEventId) !== undefined
    if (lastEventId !== undefined && !isInRing()) refuseLongId(lastEventId)
    const release = this.upstream.hold()
    try {
      await this.upstream.flow()
      const selection = topics && selectionOf(topics)
      const place = (begin: (reader: Reader) => void, follows?: string, catchUp?: CatchUp) =>
        this.#place({ release, selection, begin, follows, catchUp })
      if (lastEventId === undefined) return place((reader) => reader.readFrom(this.#ring.head))
      if (!isInRing()) refuseLongId(lastEventId)
      const client = { owner, lastEventId }
      const catchUp = isInRing() ? undefined : await this.#catchUps.open(client)
      if (catchUp)
        return place((reader) => this.#catchUps.start(client, catchUp, reader), catchUp.follows, catchUp)
      const follows = isInRing() ? toHeaderValue(lastEventId) : undefined
      return place((reader) => this.#catchUps.wait(client, reader), follows)
    } catch (error) {
      release()
      throw error
    }
  }

  leave(reader: Reader): void {
    const client = this.#clients.get(reader)
    if (!client) return
    this.#clients.delete(reader)
    this.#fanOut.remove(reader)
    this.#catchUps.cancel(reader)
    client.release()
  }

  stop(): void {
    this.upstream.sleep()
  }

  #place({ release, selection, begin, follows, catchUp }: Reservation): Place {
    let held = true
    return {
      follows,
      release: () => {
        if (!held) return
        held = false
        catchUp?.cancel()
        release()
      },
      start: (writer, onEnd) => {
        held = false
        const reader: Reader = this.#fanOut.add(writer, {
          selection,
          onDropped: () => this.#end(reader, 'client_too_slow'),
        })
        this.#clients.set(reader, { onEnd, release })
        begin(reader)
        return reader
      },
    }
  }

  #add(event: RingEvent) {
    this.#ring.append(event)
    this.#fanOut.take(event)
  }

  #endAll(how: UpstreamEnd) {
    this.#fanOut.flush()
    for (const reader of [...this.#clients.keys()]) this.#end(reader, how)
  }

  #end(reader: Reader, how: UpstreamEnd) {
    const client = this.#clients.get(reader)
    this.leave(reader)
    client?.onEnd(how)
  }
}
