import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from '@jest/globals'
import { EventBlock } from './event-block.ts'
import { EventRing, type RingEvent } from './event-ring.ts'
import type { EventWriter } from './event-writer.ts'
import { FanOut } from './fan-out.ts'
import { MAX_PENDING_BYTES, type SlowReaderLimits } from './slow-readers.ts'

/** A client that reads when the test tells it to. */
class Client implements EventWriter {
  readonly writes: string[] = []
  readonly dropped: string[] = []
  pending = 0
  onDrain: (() => void) | undefined
  reads = true

  write(block: EventBlock): void {
    this.writes.push(`${block.bytes}`)
    if (!this.reads) this.pending += block.bytes.length
  }

  take(): void {
    this.pending = 0
    this.onDrain?.()
  }

  /** Returns what it received, without the padding of the events. */
  get text(): string {
    return this.writes.join('').replaceAll('.', '')
  }
}

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

const UNLIMITED = { maxWaitingBytes: Number.POSITIVE_INFINITY, maxStalledMs: Number.POSITIVE_INFINITY }

function fanOutOf({
  maxEvents = 1_000,
  heartbeatMs = 60_000,
  ...limits
}: Partial<SlowReaderLimits & { maxEvents: number; heartbeatMs: number }> = {}) {
  const ring = new EventRing<RingEvent>({ maxEvents, maxBytes: 100_000_000 })
  const fanOut = new FanOut<RingEvent>({ ring, heartbeatMs, limits: { ...UNLIMITED, ...limits } })
  stops.push(() => fanOut.stop())
  return {
    ring,
    fanOut,
    publish(id: string, { size = 0, topic }: { size?: number; topic?: string } = {}) {
      const event = { id, bytes: Buffer.from(`${id};`.padEnd(size, '.')), ...(topic ? { topic } : {}) }
      ring.append(event)
      fanOut.take(event)
    },
    join(position = ring.head, topic?: string, reads = true) {
      const client = new Client()
      client.reads = reads
      const reader = fanOut.add(client, {
        selection: topic === undefined ? undefined : { key: topic, wants: (event) => event.topic === topic },
        onDropped: (reason) => {
          client.dropped.push(reason)
          fanOut.remove(reader)
        },
      })
      reader.readFrom(position)
      return Object.assign(client, { reader })
    },
  }
}

/** More than is allowed to wait in a connection. */
const MUCH = MAX_PENDING_BYTES + 1

describe('FanOut', () => {
  it('sends the events of one turn to every reader, in one write and in order', async () => {
    const { fanOut, join, publish } = fanOutOf()
    const clients = [join(), join()]
    for (const id of ['1', '2', '3']) publish(id)
    expect(clients[0]?.writes).toEqual([])
    await turn()
    publish('4')
    await turn()
    for (const { writes } of clients) expect(writes).toEqual(['1;2;3;', '4;'])
    expect(fanOut.figures).toEqual({ events: 4, deliveries: 8, bytes: 16 })
  })

  it('sends each event once to a reader that joins during a turn', async () => {
    const { join, publish, ring } = fanOutOf()
    const early = join()
    publish('1')
    const [late, replaying] = [join(), join(ring.tail)]
    publish('2')
    await turn()
    expect([early.text, late.text, replaying.text]).toEqual(['1;2;', '2;', '1;2;'])
  })

  it('sends each reader only the events of its selection, live and from the ring', async () => {
    const { join, publish, ring } = fanOutOf()
    const [news, sport, all] = [join(0, 'news'), join(0, 'sport'), join(0)]
    publish('1', { topic: 'news' })
    publish('2', { topic: 'sport' })
    publish('3')
    await turn()
    expect([news.text, sport.text, all.text]).toEqual(['1;', '2;', '1;2;3;'])
    expect(join(ring.tail, 'sport').text).toBe('2;')
  })

  it('sends a comment to a reader that was sent nothing else', async () => {
    const { fanOut, join, publish } = fanOutOf({ heartbeatMs: 40 })
    fanOut.start()
    const [quiet, busy] = [join(0, 'quiet'), join(0, 'busy')]
    for (let id = 0; id < 12; id += 1) {
      publish(`${id}`, { topic: 'busy' })
      await pause(10)
    }
    expect(quiet.text).toMatch(/^(:\n\n)+$/)
    expect(busy.text).not.toContain(':')
  })
})

describe('a slow reader', () => {
  it('has a bounded number of bytes pending, continues from the ring, and gets every event once', async () => {
    const { join, publish } = fanOutOf()
    const [slow, fast] = [join(), join()]
    slow.reads = false
    for (let id = 1; id <= 20; id += 1) {
      publish(`${id}`, { size: 20_000 })
      await turn()
    }
    const all = Array.from({ length: 20 }, (_, index) => `${index + 1};`).join('')
    expect(fast.text).toBe(all)
    expect(slow.pending).toBeLessThan(MUCH + 20_000)
    expect(slow.reader.state).toBe('behind')
    while (slow.pending > 0) slow.take()
    expect([slow.text, slow.reader.state]).toEqual([all, 'live'])
    expect(slow.reader.sentEvents).toBe(20)
  })

  it('is dropped when its next event is no longer in the ring', async () => {
    const { join, publish } = fanOutOf({ maxEvents: 4 })
    const slow = join()
    slow.reads = false
    publish('1', { size: MUCH })
    for (let id = 2; id <= 7; id += 1) {
      await turn()
      publish(`${id}`)
    }
    await turn()
    expect([slow.text, slow.dropped]).toEqual(['1;', ['slow']])
  })

  it('receives one gap event instead, if the owner has configured one', async () => {
    const { join, publish } = fanOutOf({ maxEvents: 4, gap: () => new EventBlock('gap;') })
    const slow = join()
    slow.reads = false
    publish('1', { size: MUCH })
    for (let id = 2; id <= 9; id += 1) {
      await turn()
      publish(`${id}`)
    }
    await turn()
    slow.take()
    expect([slow.text, slow.dropped]).toEqual(['1;gap;6;7;8;9;', []])
  })

  it('is dropped when too many bytes wait for it, in its connection and in the ring', async () => {
    const { join, publish } = fanOutOf({ maxWaitingBytes: 3 * MUCH })
    const slow = join()
    slow.reads = false
    for (const id of ['1', '2', '3', '4']) {
      publish(id, { size: MUCH })
      await turn()
      expect(slow.dropped).toEqual([])
    }
    publish('5')
    await turn()
    expect([slow.text, slow.dropped]).toEqual(['1;', ['slow']])
  })

  it('is not dropped because of the events of one turn, nor because of a replay', async () => {
    const { join, publish, ring } = fanOutOf({ maxWaitingBytes: 1_000 })
    const live = join()
    live.reads = false
    for (let id = 1; id <= 10; id += 1) publish(`${id}`, { size: MUCH })
    await turn()
    const replaying = join(ring.tail, undefined, false)
    expect([live.dropped, replaying.dropped]).toEqual([[], []])
    while (replaying.reader.state !== 'live') {
      publish('more')
      await turn()
      replaying.take()
    }
    expect(replaying.dropped).toEqual([])
    expect(live.dropped).toEqual(['slow'])
  })

  it('is judged only by the events of its selection', async () => {
    const { join, publish } = fanOutOf({ maxWaitingBytes: 2 * MUCH })
    const slow = join(0, 'news')
    slow.reads = false
    publish('1', { size: MUCH, topic: 'news' })
    for (let id = 2; id <= 20; id += 1) {
      await turn()
      publish(`${id}`, { size: MUCH })
    }
    publish('last', { topic: 'news' })
    await turn()
    slow.take()
    expect([slow.text, slow.dropped]).toEqual(['1;last;', []])
  })

  it('is dropped if it reads nothing for too long, but not if it reads slowly', async () => {
    const { fanOut, join, publish } = fanOutOf({ heartbeatMs: 20, maxStalledMs: 100 })
    fanOut.start()
    const [stalled, slow] = [join(), join()]
    stalled.reads = slow.reads = false
    publish('1', { size: MUCH })
    for (let round = 0; round < 20; round += 1) {
      await pause(10)
      slow.pending -= 100
    }
    expect([stalled.dropped, slow.dropped]).toEqual([['stalled'], []])
  })

  it('is sent the rest immediately before its stream closes, unless it is replaying', async () => {
    const { join, publish, ring } = fanOutOf()
    const live = join()
    live.reads = false
    for (const id of ['1', '2', '3', '4']) {
      publish(id, { size: MUCH })
      await turn()
    }
    const replaying = join(ring.tail, undefined, false)
    live.reader.takeRest()
    replaying.reader.takeRest()
    expect([live.text, replaying.text]).toEqual(['1;2;3;4;', '1;'])
  })
})

it('reports the most bytes that any reader had pending since the last call', async () => {
  const { fanOut, join, publish } = fanOutOf()
  const client = join()
  client.reads = false
  publish('1', { size: 100 })
  await turn()
  publish('2', { size: 50 })
  await turn()
  client.take()
  expect([fanOut.takeHighWater(), fanOut.takeHighWater()]).toEqual([150, 0])
})
