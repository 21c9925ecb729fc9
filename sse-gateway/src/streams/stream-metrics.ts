import type { EndReason } from '@hallpass/guarded-stream'
import { Counter, Gauge, type Metrics } from '@hallpass/service-kit'
import type { PathEvents } from '../upstream/index.ts'
import type { StreamRegistry } from './gateway-streams.ts'

/** Counts streams, and reads the fan-outs' figures when metrics are scraped. */
export class StreamMetrics {
  readonly #opened: Counter<'path'>
  readonly #ended: Counter<'path' | 'reason'>
  readonly #challenges: Counter<'path'>
  readonly #reauthorizations: Counter<'path' | 'result'>
  readonly #publications: Counter<'path' | 'result'>

  constructor(metrics: Metrics, streams: StreamRegistry, paths: ReadonlyMap<string, PathEvents>) {
    this.#opened = metrics.counter('sse_streams_opened_total', 'Streams opened.', ['path'])
    this.#ended = metrics.counter('sse_streams_ended_total', 'Streams closed, by reason.', ['path', 'reason'])
    this.#challenges = metrics.counter('sse_challenges_total', 'Challenges sent.', ['path'])
    this.#reauthorizations = metrics.counter(
      'sse_reauthorizations_total',
      'Challenge responses, by result.',
      ['path', 'result'],
    )
    this.#publications = metrics.counter(
      'sse_publications_total',
      'Requests to publish on a path of events, by result.',
      ['path', 'result'],
    )
    const registers = [metrics.registry]
    new Gauge({
      name: 'sse_streams',
      help: 'Open streams.',
      labelNames: ['path', 'protocol'],
      registers,
      collect() {
        this.reset()
        for (const { path, protocol } of streams.all()) this.inc({ path, protocol })
      },
    })
    const perPath = (
      kind: typeof Counter | typeof Gauge,
      name: string,
      help: string,
      read: (events: PathEvents) => number,
    ) =>
      new (kind as typeof Gauge)({
        name,
        help,
        labelNames: ['path'],
        registers,
        collect() {
          this.reset()
          for (const [path, events] of paths) this.inc({ path }, read(events))
        },
      })
    perPath(
      Counter,
      'sse_events_total',
      'Events received from the upstream.',
      ({ figures }) => figures.events,
    )
    perPath(Counter, 'sse_deliveries_total', 'Events sent to clients.', ({ figures }) => figures.deliveries)
    perPath(Counter, 'sse_bytes_total', 'Bytes of events sent to clients.', ({ figures }) => figures.bytes)
    perPath(
      Counter,
      'sse_upstream_reconnects_total',
      'Reconnections to the upstream.',
      ({ upstream }) => upstream.reconnects,
    )
    perPath(
      Counter,
      'sse_private_replays_total',
      'Replays for clients that needed events older than the ring buffer.',
      ({ replays }) => replays.opened,
    )
    perPath(Gauge, 'sse_replays_open', 'Replays that are running.', ({ replays }) => replays.open)
    perPath(
      Gauge,
      'sse_replays_waiting',
      'Streams that wait for their replay.',
      ({ replays }) => replays.waiting,
    )
    perPath(
      Counter,
      'sse_skipped_events_total',
      'Events larger than MAX_EVENT_BYTES, which clients get as a gap.',
      ({ skipped }) => skipped,
    )
    perPath(Gauge, 'sse_upstream_flowing', '1 while the upstream stream is open.', ({ upstream }) =>
      upstream.state === 'flowing' ? 1 : 0,
    )
    perPath(
      Gauge,
      'sse_buffer_high_water_bytes',
      'The most bytes that one client had pending since the last scrape.',
      (events) => events.takeHighWater(),
    )
  }

  opened(path: string): void {
    this.#opened.inc({ path })
  }

  ended(path: string, reason: EndReason): void {
    this.#ended.inc({ path, reason })
  }

  challenged(path: string): void {
    this.#challenges.inc({ path })
  }

  reauthorized(path: string, result: 'accepted' | 'not_extended' | 'refused'): void {
    this.#reauthorizations.inc({ path, result })
  }

  /** @param result `refused` for what the publisher must mend, `failed` for everything else */
  published(path: string, result: 'accepted' | 'refused' | 'failed'): void {
    this.#publications.inc({ path, result })
  }
}
