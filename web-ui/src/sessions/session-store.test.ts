import { ManualClock } from '@hallpass/service-kit/testing'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type Session, SessionStore } from './session-store.ts'
import { userFrom } from './visitor.ts'

const session = (sub: string, providerSession?: string) =>
  ({
    user: userFrom({ sub }, ''),
    formToken: `form of ${sub}`,
    providerSession,
    tokens: { idToken: `token of ${sub}` },
  }) as Session

describe('SessionStore', () => {
  const clock = new ManualClock()
  let store: SessionStore

  beforeEach(() => {
    store = new SessionStore({ maxMs: 8_000, idleMs: 1_000, clock: clock.now })
  })

  it('ends an idle session', () => {
    const id = store.start(session('ada'))
    clock.advance(999)
    expect(store.find(id)?.user.sub).toBe('ada')
    clock.advance(999)
    expect(store.find(id)?.user.sub).toBe('ada')
    clock.advance(1_000)
    expect(store.find(id)).toBeUndefined()
    expect(store.size).toBe(0)
  })

  it('ends a session at its maximum age', () => {
    const id = store.start(session('ada'))
    for (let hour = 0; hour < 15; hour += 1) {
      clock.advance(500)
      expect(store.find(id)).toBeDefined()
    }
    clock.advance(500)
    expect(store.find(id)).toBeUndefined()
  })

  it('gives each session an unguessable ID', () => {
    const ids = Array.from({ length: 100 }, () => store.start(session('ada')))
    expect(new Set(ids).size).toBe(100)
    for (const id of ids) expect(id).toMatch(/^[\w-]{43}$/)
    expect(store.find('')).toBeUndefined()
    expect(store.find('constructor')).toBeUndefined()
  })

  it('ends one session of the provider, or all sessions of a user', () => {
    const [a1, a2, b] = [
      store.start(session('ada', 's1')),
      store.start(session('ada', 's2')),
      store.start(session('ben', 's3')),
    ]
    expect(store.endAll({ providerSession: 's1', sub: 'ben' })).toEqual([])
    expect(store.endAll({ providerSession: 's1', sub: 'ada' })).toHaveLength(1)
    expect([store.find(a1), store.find(a2)?.user.sub]).toEqual([undefined, 'ada'])
    expect(store.endAll({ sub: 'ada' })).toHaveLength(1)
    expect([store.find(a2), store.find(b)?.user.sub]).toEqual([undefined, 'ben'])
  })

  it('keeps the data for the form of an ended session for ten minutes, without logging the user in', () => {
    const [out, idle, byProvider] = [
      store.start(session('ada')),
      store.start(session('ben')),
      store.start(session('zoe', 's1')),
    ]
    expect(store.findEnded(out)).toBeUndefined()
    store.end(out)
    store.endAll({ providerSession: 's1' })
    clock.advance(1_000)
    expect([out, idle, byProvider].map((id) => store.find(id))).toEqual([undefined, undefined, undefined])
    expect(store.findEnded(out)).toMatchObject({ formToken: 'form of ada', idToken: 'token of ada' })
    expect(store.findEnded(idle)).toMatchObject({ formToken: 'form of ben', idToken: 'token of ben' })
    expect([store.findEnded(byProvider), store.findEnded(undefined), store.findEnded('')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    clock.advance(10 * 60_000)
    expect([store.findEnded(out), store.findEnded(idle)]).toEqual([undefined, undefined])
  })

  it('stores 20 000 sessions, and replaces the least recently used one by the next', () => {
    const first = store.start(session('ada'))
    const second = store.start(session('ben'))
    for (let count = 2; count < 20_000; count += 1) store.start(session('zoe'))
    store.find(first)
    store.start(session('zoe'))
    expect([store.size, store.find(first)?.user.sub, store.find(second)]).toEqual([20_000, 'ada', undefined])
  })
})
