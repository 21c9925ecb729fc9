import type { EventSelection, RingEvent } from '@hallpass/event-stream/fan-out'
import type { TopicSelectors } from '@hallpass/event-stream/topics'
import { unavailable } from '../http/index.ts'
import type { UpstreamTarget } from './upstream-connection.ts'

/** The field of an event with its topic, as in the SSE server's `?fields=topic`. */
const TOPIC = 'topic'

/**
 * Returns the same upstream asked for the events of all topics (unless its URL has topics), each with its topic. It must confirm
 * that in the header `event-fields`: an upstream that does not know the parameter would send private events without their
 * topics, and events without a topic go to all clients.
 */
export function withTopics<T extends Pick<UpstreamTarget, 'url'>>(target: T) {
  const url = new URL(target.url)
  if (!url.searchParams.has('topic')) url.searchParams.set('topic', '*')
  url.searchParams.set('fields', TOPIC)
  const problemOf: UpstreamTarget['problemOf'] = ({ 'event-fields': fields }) =>
    String(fields ?? '')
      .split(',')
      .some((field) => field.trim() === TOPIC)
      ? undefined
      : unavailable(
          502,
          'upstream_without_topics',
          'The upstream does not tell the topic of each event: its response lacks event-fields: topic.',
        )
  return { ...target, url: url.href, problemOf }
}

/** Returns which events a client gets: those of its topics, and those without a topic. */
export function selectionOf(topics: TopicSelectors): EventSelection<RingEvent> | undefined {
  if (topics.isEvery) return undefined
  const key = JSON.stringify([...topics.texts].sort())
  return topics.isExact
    ? { key, topics: new Set([undefined, ...topics.exact]) }
    : { key, wants: ({ topic }) => topic === undefined || topics.covers(topic) }
}
