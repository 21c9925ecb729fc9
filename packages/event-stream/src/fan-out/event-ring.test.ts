import { describe, expect, it } from '@jest/globals'
import { EventRing } from './event-ring.ts'

const event = (id: string | undefined, text = `${id};`) => ({ id, bytes: Buffer.from(text) })

function ringOf(count: number, limits = { maxEvents: 8, maxBytes: 10_000 }) {
  const ring = new EventRing(limits)
  for (let id = 1; id <= count; id += 1) ring.append(event(`${id}`))
  return ring
}

const textFrom = (ring: EventRing, position: number) => ring.read(position, 1_000_000).bytes.toString()

describe('EventRing', () => {
  it('returns the position after each event that it contains', () => {
    const ring = ringOf(5)
    expect(textFrom(ring, ring.positionAfter('2') as number)).toBe('3;4;5;')
    expect(ring.positionAfter('5')).toBe(ring.head)
    expect(ring.positionAfter('6')).toBeUndefined()
  })

  it('drops the oldest events together with their positions', () => {
    const ring = ringOf(20)
    expect(ring.head - ring.tail).toBeLessThanOrEqual(8)
    expect(ring.head).toBe(20)
    expect(ring.positionAfter('11')).toBeUndefined()
    expect(textFrom(ring, ring.positionAfter('18') as number)).toBe('19;20;')
  })

  it('stays within its byte limit, but always keeps the newest event', () => {
    const ring = new EventRing({ maxEvents: 100, maxBytes: 100 })
    for (let id = 0; id < 50; id += 1) ring.append(event(`${id}`, 'x'.repeat(30)))
    expect(textFrom(ring, ring.tail).length).toBeLessThanOrEqual(100)
    ring.append(event('big', 'y'.repeat(1_000)))
    expect(textFrom(ring, ring.tail)).toBe('y'.repeat(1_000))
  })

  it('has no position for an ID of several events: a client may have seen any of them', () => {
    const ring = new EventRing({ maxEvents: 8, maxBytes: 1_000 })
    for (const text of ['a', 'b', 'c']) ring.append(event(text === 'b' ? 'other' : 'same', text))
    expect([ring.positionAfter('same'), ring.positionAfter('other')]).toEqual([undefined, 2])
    ring.prepend([event('other', '-'), event('old', '0')])
    expect([ring.positionAfter('other'), ring.positionAfter('old')]).toEqual([undefined, 0])
    ring.note('same', ring.head)
    ring.note('noted', ring.head)
    ring.append(event('noted'))
    expect(ring.positionAfter('noted')).toBeUndefined()
    for (let id = 1; id <= 7; id += 1) ring.append(event(`${id}`))
    // It stays ambiguous while one of its events is in the ring.
    expect(ring.positionAfter('same')).toBeUndefined()
    for (let id = 8; id <= 20; id += 1) ring.append(event(`${id}`))
    ring.append(event('same'))
    expect(ring.positionAfter('same')).toBe(ring.head)
  })

  it('reads whole events, up to a number of bytes', () => {
    const ring = ringOf(5)
    const first = ring.read(ring.tail, 5)
    expect(first.bytes.toString()).toBe('1;2;')
    expect(ring.read(first.next, 1).bytes.toString()).toBe('3;')
    expect(ring.read(ring.head, 10)).toEqual({ bytes: Buffer.alloc(0), events: 0, next: ring.head })
  })

  it('prepends older events as far as they fit', () => {
    const ring = new EventRing({ maxEvents: 4, maxBytes: 1_000 })
    ring.append(event('5'))
    ring.append(event('6'))
    ring.prepend(['1', '2', '3', '4'].map((id) => event(id)))
    expect(textFrom(ring, ring.tail)).toBe('3;4;5;6;')
    expect(textFrom(ring, ring.positionAfter('4') as number)).toBe('5;6;')
    expect(ring.positionAfter('2')).toBeUndefined()
    ring.append(event('7'))
    expect(textFrom(ring, ring.positionAfter('5') as number)).toBe('6;7;')
  })

  it('remembers a noted position of an ID that it never contained, until that position is dropped', () => {
    const ring = ringOf(2)
    ring.note('elsewhere', ring.head)
    ring.append(event('3'))
    expect(textFrom(ring, ring.positionAfter('elsewhere') as number)).toBe('3;')
    for (let id = 4; id < 40; id += 1) ring.append(event(`${id}`))
    expect(ring.positionAfter('elsewhere')).toBeUndefined()
  })
})
