import { describe, expect, it } from '@jest/globals'
import { ReplaySlots } from './replay-slots.ts'

/** Takes as many slots as an owner gets. */
function takeAll(slots: ReplaySlots<string>, owner: string): number {
  let taken = 0
  while (slots.take(owner)) taken += 1
  return taken
}

describe('slots for replays', () => {
  it('always leave some for others: an owner holds no more than are free', () => {
    const slots = new ReplaySlots<string>(32)
    expect(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((owner) => takeAll(slots, owner))).toEqual([
      16, 8, 4, 2, 1, 1, 0,
    ])
    expect(slots.open).toBe(32)
  })

  it('are given to waiting owners in turn, and to the clients of an owner in order', () => {
    const slots = new ReplaySlots<string>(8)
    takeAll(slots, 'a')
    takeAll(slots, 'b')
    takeAll(slots, 'c')
    takeAll(slots, 'd')
    expect(slots.open).toBe(8)
    for (const client of ['a1', 'a2', 'e1', 'e2', 'f1']) slots.queue(client[0] as string, client)
    const given: (string | undefined)[] = []
    for (let left = 4; left > 0; left -= 1) {
      slots.release('a')
      given.push(slots.next())
    }
    // The third time, one slot is free, and both owners that wait hold one.
    expect(given).toEqual(['e1', 'f1', undefined, 'a1'])
    slots.release('b')
    expect([slots.next(), slots.next()]).toEqual(['e2', undefined])
    expect(slots.waiting).toBe(1)
  })

  it('are not taken by a client that arrives later than another one of its owner', () => {
    const slots = new ReplaySlots<string>(2)
    expect([slots.take('a'), slots.take('a')]).toEqual([true, false])
    slots.queue('a', 'a1')
    slots.release('a')
    expect(slots.take('a')).toBe(false)
    expect(slots.next()).toBe('a1')
  })

  it('forget a client that leaves, also the last one of its owner', () => {
    const slots = new ReplaySlots<string>(1)
    takeAll(slots, 'a')
    slots.queue('b', 'b1')
    slots.leave('b', 'b1')
    slots.leave('c', 'c1')
    slots.release('a')
    expect([slots.next(), slots.waiting, slots.open]).toEqual([undefined, 0, 0])
  })

  it('must be yielded to owners that hold fewer, and to other clients of the same owner', () => {
    const slots = new ReplaySlots<string>(8)
    takeAll(slots, 'a')
    takeAll(slots, 'b')
    const mustYield = () => ['a', 'b'].map((owner) => slots.mustYield(owner))
    expect(mustYield()).toEqual([false, false])
    slots.queue('a', 'a1')
    expect(mustYield()).toEqual([true, false])
    slots.queue('c', 'c1')
    expect(mustYield()).toEqual([true, true])
  })
})
