import { describe, expect, it } from '@jest/globals'
import { Changes } from './changes.ts'

describe('Changes', () => {
  it('wakes all waiting callers once', async () => {
    const changes = new Changes()
    const { signal } = new AbortController()
    const both = Promise.all([changes.next(signal), changes.next(signal)])
    changes.announce()
    await both
    expect(changes.waiting).toBe(0)
  })

  it('forgets callers that have aborted', async () => {
    const changes = new Changes()
    const leaving = new AbortController()
    const waits = changes.next(leaving.signal)
    expect(changes.waiting).toBe(1)
    leaving.abort()
    await waits
    await changes.next(leaving.signal)
    expect(changes.waiting).toBe(0)
  })
})
