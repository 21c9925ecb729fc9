import { describe, expect, it } from '@jest/globals'
import { comparePositions, EventRing } from './event-ring.ts'

const ring = ({ events = 5, bytes = 1_000_000 } = {}) => new EventRing({ events, bytes }, '100-0')

function fill(target: EventRing, count: number, from = 1) {
  for (let index = from; index < from + count; index += 1)
    target.add(`${100 + index}-0`, { data: `${index}` })
  return target
}

/** The data of what a client gets that has seen everything up to an id. */
function after(target: EventRing, lastEventId: string) {
  const { index, gap } = target.after(lastEventId)
  const data: (string | undefined)[] = []
  for (let at = index; at < target.next; at += 1)
    data.push(/^data:(.*)$/m.exec(`${target.at(at)?.wire}`)?.[1])
  return { data, gap }
}

describe('EventRing', () => {
  it('encodes an event once, with its position as its id unless the publisher chose one', () => {
    expect(ring().add('101-0', { data: 'x' }).wire.toString()).toBe('id:101-0\ndata:x\n\n')
    expect(ring().add('101-0', { data: 'x', id: '7', topic: 't' }).wire.toString()).toBe('id:7\ndata:x\n\n')
  })

  it('replays what came after an id, in order', () => {
    const target = fill(ring(), 3)
    expect(after(target, '101-0')).toEqual({ data: ['2', '3'], gap: false })
    expect(after(target, '103-0')).toEqual({ data: [], gap: false })
    expect(after(target, '102')).toEqual({ data: ['3'], gap: false })
    expect(after(target, '101-7')).toEqual({ data: ['2', '3'], gap: false })
  })

  it('starts where the log began: before that nothing is known', () => {
    const target = fill(ring(), 2)
    expect(after(target, '100-0')).toEqual({ data: ['1', '2'], gap: false })
    expect(after(target, '99-9')).toEqual({ data: ['1', '2'], gap: true })
  })

  it('drops the oldest event over its count, and knows when a client has missed one', () => {
    const target = fill(ring(), 7)
    expect([target.size, target.first, target.next]).toEqual([5, 2, 7])
    expect(after(target, '102-0')).toEqual({ data: ['3', '4', '5', '6', '7'], gap: false })
    expect(after(target, '101-0')).toEqual({ data: ['3', '4', '5', '6', '7'], gap: true })
    expect(target.at(1)).toBeUndefined()
  })

  it('drops the oldest events over its bytes, but never the newest', () => {
    const target = ring({ bytes: 100 })
    fill(target, 4)
    expect(target.bytes).toBeLessThanOrEqual(100)
    const held = target.size
    target.add('200-0', { data: 'x'.repeat(60) })
    expect(target.size).toBeLessThan(held + 1)
    target.add('201-0', { data: 'x'.repeat(500) })
    expect([target.size, after(target, '200-0').gap]).toEqual([1, false])
  })

  it('finds the latest event of an id that a publisher chose, as long as it is held', () => {
    const target = ring()
    target.add('101-0', { data: '1', id: 'a' })
    target.add('102-0', { data: '2', id: 'b' })
    target.add('103-0', { data: '3', id: 'a' })
    target.add('104-0', { data: '4' })
    expect(after(target, 'a')).toEqual({ data: ['4'], gap: false })
    expect(after(target, 'b')).toEqual({ data: ['3', '4'], gap: false })
    fill(target, 3, 5)
    expect(after(target, 'b')).toMatchObject({ gap: true })
    expect(after(target, 'a')).toMatchObject({ gap: false })
    fill(target, 1, 8)
    expect(after(target, 'a')).toMatchObject({ gap: true })
  })

  it.each(['', 'unknown', '1-2-3', '-1', '99999999999999999999'])(
    'sends everything it has after the id %j',
    (id) => {
      expect(after(fill(ring(), 2), id)).toEqual({ data: ['1', '2'], gap: true })
    },
  )

  it('keeps its indexes and its memory over a long time', () => {
    const target = fill(ring({ events: 10 }), 100_000)
    expect([target.size, target.first, target.next]).toEqual([10, 99_990, 100_000])
    expect(after(target, '100099-0')).toEqual({ data: ['100000'], gap: false })
    expect(target.bytes).toBe(10 * 'id:100090-0\ndata:99990\n\n'.length + 1)
  })

  it('forgets everything, and tells who resumes from it', () => {
    const target = fill(ring(), 3)
    target.clear()
    expect([target.size, target.bytes]).toEqual([0, 0])
    expect(after(target, '102-0')).toEqual({ data: [], gap: true })
    expect(after(target, '103-0')).toEqual({ data: [], gap: false })
  })

  it('takes a position before which events are gone', () => {
    const target = ring()
    target.forgetBefore('105-0')
    target.add('105-0', { data: '5' })
    expect(after(target, '104-3')).toEqual({ data: ['5'], gap: true })
    expect(after(target, '105-0')).toEqual({ data: [], gap: false })
  })
})

describe('comparePositions', () => {
  it('compares numbers and not texts', () => {
    expect(comparePositions('99-0', '100-0')).toBeLessThan(0)
    expect(comparePositions('100-9', '100-10')).toBeLessThan(0)
    expect(comparePositions('100', '100-0')).toBe(0)
  })
})
