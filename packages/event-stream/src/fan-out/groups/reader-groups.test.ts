import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import { EventRing, type EventSelection, type EventWriter, FanOut, type RingEvent } from '../index.ts'

const UNLIMITED = { maxWaitingBytes: Number.POSITIVE_INFINITY, maxStalledMs: Number.POSITIVE_INFINITY }

function fanOut() {
  const ring = new EventRing({ maxEvents: 100_000, maxBytes: 100_000_000 })
  const target = new FanOut({ ring, heartbeatMs: 60_000, limits: UNLIMITED })
  return {
    ring,
    target,
    publish(text: string, topic?: string) {
      const event = { id: undefined, topic, bytes: Buffer.from(text) }
      ring.append(event)
      target.take(event)
    },
    join(selection: EventSelection<RingEvent> | undefined, position = ring.head) {
      const texts: string[] = []
      const writer: EventWriter = {
        pending: 0,
        onDrain: undefined,
        write: (block) => texts.push(`${block.bytes}`),
      }
      const reader = target.add(writer, { selection, onDropped: () => {} })
      reader.readFrom(position)
      return { reader, texts, leave: () => target.remove(reader) }
    },
  }
}

const ofTopics = (...topics: (string | undefined)[]): EventSelection<RingEvent> => ({
  key: JSON.stringify(topics.map((topic) => topic ?? null)),
  topics: new Set(topics),
})

describe('ReaderGroups', () => {
  it('gives each reader the events of its topics, once and in order, live and from the ring', async () => {
    const { join, publish } = fanOut()
    const all = join(undefined)
    const none = join(ofTopics())
    const a = join(ofTopics('a'))
    const both = join(ofTopics('b', 'a', undefined))
    const untitled = join(ofTopics(undefined))
    const template = join({ key: 't', wants: ({ topic = '' }) => topic.startsWith('a') })
    const events: [string, string?][] = [['1', 'a'], ['2', 'b'], ['3'], ['4', 'ab'], ['5', 'a']]
    for (const event of events) publish(...event)
    await turn()
    const replayed = join(ofTopics('a'), 0)
    const readers = [all, none, a, both, untitled, template, replayed]
    expect(readers.map(({ texts }) => texts.join(''))).toEqual(['12345', '', '15', '1235', '3', '145', '15'])
  })

  it('sends another form of an event to those that select it', async () => {
    const { join, publish, ring } = fanOut()
    const selection = {
      ...ofTopics('a'),
      key: 'other',
      bytesOf: ({ bytes }: RingEvent) => Buffer.from(`<${bytes}>`),
    }
    const plain = join(ofTopics('a'))
    const live = join(selection)
    publish('1', 'a')
    publish('2', 'b')
    await turn()
    const replayed = join(selection, ring.tail)
    expect([plain, live, replayed].map(({ texts }) => texts.join(''))).toEqual(['1', '<1>', '<1>'])
  })

  it('sends a reader an event from elsewhere only if it is selected', () => {
    const { join } = fanOut()
    const { reader, texts } = join(ofTopics('a'))
    for (const topic of ['a', 'b', undefined])
      reader.sendEvent({ id: undefined, topic, bytes: Buffer.from(`${topic};`) })
    expect(texts).toEqual(['a;'])
    expect(reader.sentEvents).toBe(1)
  })

  it('forgets a topic with its last reader', async () => {
    const { join, publish } = fanOut()
    const [first, second] = [join(ofTopics('a')), join(ofTopics('a'))]
    first.leave()
    publish('1', 'a')
    await turn()
    second.leave()
    publish('2', 'a')
    await turn()
    expect([first.texts, second.texts]).toEqual([[], ['1']])
    const third = join(ofTopics('a'))
    publish('3', 'a')
    await turn()
    expect(third.texts).toEqual(['3'])
  })

  it('evaluates no selection of topics: an event costs the same with 10,000 readers of other topics', async () => {
    const { join, publish } = fanOut()
    let lookups = 0
    class Counted extends Set<string | undefined> {
      override has(topic: string | undefined) {
        lookups += 1
        return super.has(topic)
      }
    }
    const readers = Array.from({ length: 10_000 }, (_, index) =>
      join({ key: `${index}`, topics: new Counted([`topic ${index}`]) }),
    )
    publish('x', 'topic 7')
    publish('y', 'nobody reads it')
    await turn()
    expect(readers[7]?.texts).toEqual(['x'])
    // Only the group that gets the event checks it.
    expect(lookups).toBe(1)
  })
})
