import { describe, expect, it } from '@jest/globals'
import { RecentCopies } from './recent-copies.ts'

describe('RecentCopies', () => {
  it('never keeps more than its maximum', () => {
    const copies = new RecentCopies<number>(100)
    for (let i = 0; i < 10_000; i += 1) {
      copies.set(String(i), i)
      expect(copies.size).toBeLessThanOrEqual(100)
    }
  })

  it('keeps values that are used, and drops others', () => {
    const copies = new RecentCopies<string>(100)
    copies.set('used', 'yes')
    copies.set('unused', 'no')
    for (let i = 0; i < 1_000; i += 1) {
      copies.set(String(i), 'x')
      expect(copies.get('used')).toBe('yes')
    }
    expect(copies.get('unused')).toBeUndefined()
  })

  it('deletes a value immediately from both maps', () => {
    const copies = new RecentCopies<number>(4)
    for (const key of ['a', 'b', 'c']) copies.set(key, 1)
    copies.get('a')
    for (const key of ['a', 'b', 'c']) {
      copies.delete(key)
      expect(copies.get(key)).toBeUndefined()
    }
  })
})
