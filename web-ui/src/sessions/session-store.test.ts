import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { openTestSessions, type TestSessions } from '../testing/test-sessions.ts'
import { MAX_SESSIONS_OF_USER, type Session, type SessionStore } from './session-store.ts'
import { userFrom } from './visitor.ts'

const session = (sub: string, providerSession?: string): Session => ({
  user: userFrom({ sub }, ''),
  formToken: `form of ${sub}`,
  providerSession,
  tokens: { accessToken: `access of ${sub}`, idToken: `token of ${sub}`, refreshes: 0 },
})

describe('SessionStore', () => {
  const clock = new ManualClock(Date.now())
  let system: TestSessions
  let store: SessionStore
  let other: SessionStore

  beforeAll(async () => {
    system = await openTestSessions(clock)
    ;[store, other] = system.replicas
  })
  afterAll(() => system.close())

  it('ends an idle session', async () => {
    const id = await store.start(session('ada'))
    clock.advance(999_000)
    expect((await other.find(id))?.user.sub).toBe('ada')
    clock.advance(999_000)
    expect((await store.find(id))?.user.sub).toBe('ada')
    clock.advance(1_000_000)
    expect(await store.find(id)).toBeUndefined()
  })

  it('ends a session at its maximum age', async () => {
    const id = await store.start(session('ada'))
    for (let hour = 0; hour < 15; hour += 1) {
      clock.advance(500_000)
      expect(await store.find(id)).toBeDefined()
    }
    clock.advance(500_000)
    expect(await store.find(id)).toBeUndefined()
  })

  it('gives each session an unguessable ID', async () => {
    const ids = await Promise.all(Array.from({ length: 50 }, () => store.start(session('ida'))))
    expect(new Set(ids).size).toBe(50)
    for (const id of ids) expect(id).toMatch(/^[\w-]{43}$/)
    expect(await store.find('')).toBeUndefined()
    expect(await store.find('constructor')).toBeUndefined()
  })

  it('ends one session of the provider, or all sessions of a user, at every replica', async () => {
    const [a1, a2, b] = [
      await store.start(session('ada', 's1')),
      await other.start(session('ada', 's2')),
      await store.start(session('ben', 's3')),
    ]
    expect(await store.endAll({ providerSession: 's1', sub: 'ben' })).toBe(0)
    expect(await other.endAll({ providerSession: 's1', sub: 'ada' })).toBe(1)
    expect([await store.find(a1), (await store.find(a2))?.user.sub]).toEqual([undefined, 'ada'])
    expect(await store.endAll({ sub: 'ada' })).toBe(1)
    expect([await other.find(a2), (await other.find(b))?.user.sub]).toEqual([undefined, 'ben'])
    expect(await store.endAll({})).toBe(0)
  })

  it('ends sessions of a user without a provider session, with the one that the provider ends', async () => {
    const [unknown, named, of] = [
      await store.start(session('ada')),
      await store.start(session('ada', 's1')),
      await store.start(session('ben')),
    ]
    expect(await other.endAll({ providerSession: 's0', sub: 'ada' })).toBe(1)
    const left = await Promise.all([unknown, named, of].map((id) => store.find(id)))
    expect(left.map((one) => one?.user.sub)).toEqual([undefined, 'ada', 'ben'])
  })

  it('ends a session by the provider session of its renewed ID token, and by the former one', async () => {
    const tokens = { accessToken: 'next', refreshes: 1 }
    for (const [before, ended] of [
      ['r1', 'r2'],
      ['r1', 'r1'],
      [undefined, 'r2'],
    ] as const) {
      const id = await store.start(session('ada', before))
      await store.setTokens(id, tokens, 'r2')
      expect((await store.find(id))?.providerSession).toBe('r2')
      // Without an ID token, or with one without `sid`, it stays.
      await store.setTokens(id, tokens)
      expect([before, ended, await other.endAll({ providerSession: ended })]).toEqual([before, ended, 1])
      expect(await store.find(id)).toBeUndefined()
    }
  })

  it('keeps a list as long as its last session, when an older session is added', async () => {
    const older = await store.start(session('ada', 's3'))
    clock.advance(900_000)
    const later = await store.start(session('ada', 's4'))
    await store.find(older)
    await store.setTokens(older, { accessToken: 'next', refreshes: 1 }, 's4')
    for (let step = 0; step < 8; step += 1) {
      clock.advance(900_000)
      await store.find(later)
    }
    expect([await store.find(older), (await store.find(later))?.user.sub]).toEqual([undefined, 'ada'])
    expect(await store.endAll({ providerSession: 's4' })).toBe(1)
    expect(await store.find(later)).toBeUndefined()
  })

  it('does not bring back a session that another replica ends while its use or tokens are recorded', async () => {
    for (let round = 0; round < 20; round += 1) {
      const id = await store.start(session('ada'))
      clock.advance(200_000)
      await Promise.all([
        store.find(id),
        other.end(id),
        store.setTokens(id, { accessToken: 'next', refreshes: 1 }),
      ])
      expect([await store.find(id), await other.find(id)]).toEqual([undefined, undefined])
    }
  })

  it('keeps the data for the form of an ended session for ten minutes, without logging the user in', async () => {
    const [out, idle, byProvider] = [
      await store.start(session('ada')),
      await store.start(session('ben')),
      await store.start(session('zoe', 's1')),
    ]
    expect(await store.findEnded(out)).toBeUndefined()
    clock.advance(999_999)
    expect((await store.end(out))?.formToken).toBe('form of ada')
    expect(await other.end(out)).toBeUndefined()
    expect(await store.endAll({ providerSession: 's1' })).toBe(1)
    clock.advance(1)
    for (const id of [out, idle, byProvider]) expect(await other.find(id)).toBeUndefined()
    expect(await other.findEnded(out)).toEqual({ formToken: 'form of ada', idToken: 'token of ada' })
    expect(await other.findEnded(idle)).toEqual({ formToken: 'form of ben', idToken: 'token of ben' })
    for (const id of [byProvider, undefined, '']) expect(await other.findEnded(id)).toBeUndefined()
    clock.advance(10 * 60_000)
    for (const id of [out, idle]) expect(await store.findEnded(id)).toBeUndefined()
  })

  it('starts one session for a redirect that reaches both replicas at the same time', async () => {
    let started = 0
    const start = async () => {
      started += 1
      await new Promise((resolve) => setTimeout(resolve, 100))
      return `session ${started}`
    }
    const ids = await Promise.all(
      Array.from({ length: 6 }, (_, index) => (index % 2 ? store : other).startOnce('code=c', start)),
    )
    expect([new Set(ids), started]).toEqual([new Set(['session 1']), 1])
    // A later one must ask the provider, which rejects a code that was used.
    expect(await store.startOnce('code=c', start)).toBe('session 2')
  })

  it(`keeps ${MAX_SESSIONS_OF_USER} sessions of a user; a further one replaces the oldest`, async () => {
    const first = await store.start(session('uma'))
    const second = await store.start(session('uma'))
    for (let count = 2; count < MAX_SESSIONS_OF_USER; count += 1) await store.start(session('uma'))
    expect(await store.find(first)).toBeDefined()
    const last = await other.start(session('uma'))
    expect(await store.find(first)).toBeUndefined()
    for (const id of [second, last]) expect((await store.find(id))?.user.sub).toBe('uma')
  })

  it('writes no session ID, user or token that can be read in the files', async () => {
    const id = await store.start(session('legible-user', 'legible-provider-session'))
    const file = await readFile(join(system.folder, 'store/data.mdb'), 'latin1')
    for (const secret of [id, 'legible-user', 'legible-provider-session', 'accessToken'])
      expect([secret, file.includes(secret)]).toEqual([secret, false])
  })
})

describe('a full embedded store', () => {
  it('replaces a session that was not used for long by the next', async () => {
    const clock = new ManualClock(Date.now())
    const { replicas, close } = await openTestSessions(clock, { maxEntries: 20 })
    const [store] = replicas
    const ids: string[] = []
    for (let count = 0; count < 20; count += 1) {
      ids.push(await store.start(session(`user ${count}`)))
      clock.advance(1)
    }
    clock.advance(200_000)
    await store.find(ids[0])
    await store.start(session('next'))
    const left = await Promise.all(ids.map((id) => store.look(id)))
    expect(left.map((one) => one !== undefined)).toEqual(ids.map((_, index) => index !== 1))
    await close()
  })
})
