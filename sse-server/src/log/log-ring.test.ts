import { describe, expect, it } from '@jest/globals'
import { LogRing } from './log-ring.ts'

const ring = ({ events = 5, bytes = 1_000_000 } = {}) => new LogRing({ maxEvents: events, maxBytes: bytes })

function fill(target: LogRing, count: number, from = 1) {
  for (let index = from; index < from + count; index += 1)
    target.add(`${100 + index}-0`, { data: `${index}` })
  return target
}

/** Returns the data that a client gets that has seen everything up to an ID. */
function after(target: LogRing, lastEventId: string, topics?: string[]) {
  const { position, gap } = target.after(lastEventId, topics && new Set(topics))
  const data: (string | undefined)[] = []
  for (let at = position; at < target.head; at += 1)
    data.push(/^data:(.*)$/m.exec(`${target.at(at)?.bytes}`)?.[1])
  return { data, gap }
}

describe('LogRing', () => {
  it('encodes an event once, with its position as its ID unless the publisher chose one', () => {
    expect(ring().add('101-0', { data: 'x' }).bytes.toString()).toBe('id:101-0\ndata:x\n\n')
    expect(ring().add('101-0', { data: 'x', id: '7', topic: 't' }).bytes.toString()).toBe('id:7\ndata:x\n\n')
  })

  it('has a form with the topic for readers that request it, in the same memory', () => {
    const { bytes, withTopic } = ring().add('101-0', { data: 'x', id: '7', topic: ' é' })
    expect(`${withTopic}`).toBe('topic:  é\nid:7\ndata:x\n\n')
    expect(`${bytes}`).toBe('id:7\ndata:x\n\n')
    expect(bytes.buffer).toBe(withTopic.buffer)
    const untitled = ring().add('101-0', { data: 'x' })
    expect(`${untitled.withTopic}`).toBe(`${untitled.bytes}`)
  })

  it('replays the events after an ID, in order', () => {
    const target = fill(ring(), 3)
    expect(after(target, '101-0')).toEqual({ data: ['2', '3'], gap: false })
    expect(after(target, '103-0')).toEqual({ data: [], gap: false })
  })

  it.each(['', 'unknown', '0', '0-0', '102', '101-7', '100-0', '104-0', '99999999999999999999-0', '1-2-3'])(
    'sends all stored events after the ID %j, which it has not assigned, and reports a gap',
    (id) => {
      expect(after(fill(ring(), 3), id)).toEqual({ data: ['1', '2', '3'], gap: true })
    },
  )

  it('drops the oldest event over its maximum count, and detects that a client missed one', () => {
    const target = fill(ring(), 7)
    expect([target.size, target.tail, target.head]).toEqual([5, 2, 7])
    expect(after(target, '102-0')).toEqual({ data: ['3', '4', '5', '6', '7'], gap: false })
    expect(after(target, '101-0')).toEqual({ data: ['3', '4', '5', '6', '7'], gap: true })
    expect(target.at(1)).toBeUndefined()
  })

  it('drops the oldest events over its byte limit, but never the newest', () => {
    const target = ring({ bytes: 100 })
    fill(target, 4)
    expect(target.bytes).toBeLessThanOrEqual(100)
    const held = target.size
    target.add('200-0', { data: 'x'.repeat(60) })
    expect(target.size).toBeLessThan(held + 1)
    target.add('201-0', { data: 'x'.repeat(500) })
    expect([target.size, after(target, '200-0').gap]).toEqual([1, false])
  })

  it('continues after any ID that a publisher chose', () => {
    const ids = ['a', '5', '1795316400000', '102', ' ', '-1']
    const target = ring({ events: 10 })
    ids.forEach((id, index) => {
      target.add(`${101 + index}-0`, { data: `${index}`, id })
    })
    ids.forEach((id, index) => {
      expect(after(target, id)).toEqual({ data: ['0', '1', '2', '3', '4', '5'].slice(index + 1), gap: false })
    })
  })

  it('reports a gap after an ID that was used twice, while one of its events is stored', () => {
    const target = ring()
    for (const [index, id] of ['a', 'b', 'a', 'c', 'd'].entries())
      target.add(`${101 + index}-0`, { data: `${index + 1}`, id })
    expect(after(target, 'a')).toEqual({ data: ['1', '2', '3', '4', '5'], gap: true })
    expect(after(target, 'b')).toEqual({ data: ['3', '4', '5'], gap: false })
    fill(target, 1, 6)
    expect(after(target, 'a')).toEqual({ data: ['2', '3', '4', '5', '6'], gap: true })
    fill(target, 2, 7)
    expect(after(target, 'a')).toEqual({ data: ['4', '5', '6', '7', '8'], gap: true })
    fill(target, 1, 9)
    target.add('110-0', { data: '10', id: 'd' })
    // The stored event was dropped, and another one with the same ID was added.
    expect(after(target, 'd')).toEqual({ data: ['6', '7', '8', '9', '10'], gap: true })
  })

  it('looks up a publisher’s ID only among the reader’s topics, and a position among all', () => {
    const target = ring()
    target.add('101-0', { data: '1', id: 'x', topic: 'news' })
    target.add('102-0', { data: '2', topic: 'sport' })
    target.add('103-0', { data: '3', id: 'x', topic: 'sport' })
    target.add('104-0', { data: '4', id: 'x' })
    target.add('105-0', { data: '5', topic: 'news' })
    const later = (topics?: string[]) => after(target, 'x', topics)
    expect([later(['news']), later(['sport']), later()]).toEqual([
      { data: ['2', '3', '4', '5'], gap: false },
      { data: ['4', '5'], gap: false },
      { data: ['5'], gap: false },
    ])
    for (const topics of [['news', 'sport'], ['*'], ['other']]) expect(later(topics).gap).toBe(true)
    expect(after(target, '102-0', ['news'])).toEqual({ data: ['3', '4', '5'], gap: false })
    // The event of `news` was dropped; the one of `sport` must not be used instead.
    target.add('106-0', { data: '6', topic: 'news' })
    expect(later(['news'])).toEqual({ data: ['2', '3', '4', '5', '6'], gap: true })
  })

  it('keeps its positions and bounded memory over many events', () => {
    const target = fill(ring({ events: 10 }), 100_000)
    expect([target.size, target.tail, target.head]).toEqual([10, 99_990, 100_000])
    expect(after(target, '100099-0')).toEqual({ data: ['100000'], gap: false })
    expect(target.bytes).toBe(10 * 'id:100090-0\ndata:99990\n\n'.length + 1)
  })

  it('drops everything, and reports a gap to clients that resume from it', () => {
    const target = fill(ring(), 3)
    target.clear()
    expect([target.size, target.bytes]).toEqual([0, 0])
    expect(after(target, '102-0')).toEqual({ data: [], gap: true })
    expect(after(target, '103-0')).toEqual({ data: [], gap: false })
  })

  it('has no position after its events if later ones may have been missed', () => {
    const target = fill(ring(), 3)
    target.forget()
    expect(after(target, '103-0')).toEqual({ data: [], gap: true })
    fill(target, 1, 9)
    expect(after(target, '103-0')).toEqual({ data: ['9'], gap: true })
  })
})
