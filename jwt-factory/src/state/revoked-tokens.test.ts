import { randomUUID } from 'node:crypto'
import { ManualClock } from '@hallpass/service-kit/testing'
import { StoreUnavailableError, type Zone } from '@hallpass/token-store'
import { afterEach, describe, expect, it } from '@jest/globals'
import { useStore } from '../testing.ts'
import { RevocationTable } from './revocation-table.ts'
import { RevokedTokens, type RevokedTokensOptions } from './revoked-tokens.ts'

const clock = new ManualClock()
const shared = useStore(clock.now)
const running: RevokedTokens[] = []
let zones = 0

async function start(zone: string, options: Partial<RevokedTokensOptions> = {}) {
  const store = await shared.open()
  const revoked = new RevokedTokens({
    zone: store.zone(zone, { pinned: true }),
    clock: clock.now,
    leewaySeconds: 5,
    onFailure: () => {},
    ...options,
  })
  revoked.start()
  running.push(revoked)
  return revoked
}
const newZone = () => `revoked${zones++}`
const token = (lifetimeSeconds = 60) => ({ jti: randomUUID(), exp: clock.now() / 1000 + lifetimeSeconds })

afterEach(() => {
  for (const revoked of running.splice(0)) revoked.stop()
  shared.setFreeBytes(Number.MAX_SAFE_INTEGER)
})

describe('RevokedTokens', () => {
  it('knows a revoked token for as long as it would be accepted', async () => {
    const revoked = await start(newZone())
    const [one, other] = [token(), token()]
    await revoked.revoke(one, 'servicea')
    expect([await revoked.has(one), await revoked.has(other)]).toEqual([true, false])
    clock.advance(64_999)
    expect(await revoked.has(one)).toBe(true)
    clock.advance(1)
    expect(await revoked.has(one)).toBe(false)
  })

  it('knows it after a restart, and in another replica within a second', async () => {
    const zone = newZone()
    const [one, other] = [await start(zone), await start(zone)]
    const revoked = token()
    await one.revoke(revoked, 'servicea')
    await new Promise((resolve) => setTimeout(resolve, 900))
    expect(await other.has(revoked)).toBe(true)
    expect(await (await start(zone)).has(revoked)).toBe(true)
  })

  it('is stored again when a failover has lost it', async () => {
    const raw = (await shared.open()).zone(newZone(), { pinned: true })
    const listeners: ((change: 'missed') => void)[] = []
    const zone = new Proxy(raw, {
      get: (target, name: keyof Zone) =>
        name === 'watch'
          ? (listener: (change: 'missed') => void) => void listeners.push(listener)
          : target[name].bind(target),
    }) as Zone
    const one = await start('', { zone })
    const revoked = token()
    await one.revoke(revoked, 'servicea')
    let name = ''
    for await (const [key] of raw.entries()) name = key
    await raw.overrule(name, undefined)
    for (const listener of listeners) listener('missed')
    for (let tries = 0; tries < 100 && !(await raw.get(name)); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await raw.get(name)).toMatchObject({ value: 'servicea' })
  })

  it('knows tokens whose jti is no UUID, and repeats a revocation without counting it twice', async () => {
    const revoked = await start(newZone(), { maxOfACaller: 2 })
    const other = { ...token(), jti: 'not a UUID' }
    for (let round = 0; round < 3; round += 1) await revoked.revoke(other, 'servicea')
    await revoked.revoke(token(), 'servicea')
    expect(await revoked.has(other)).toBe(true)
  })

  it('limits the share of a caller, not of an administrator, and names what to do', async () => {
    const revoked = await start(newZone(), { maxOfACaller: 2 })
    await revoked.revoke(token(30), 'servicea')
    await revoked.revoke(token(300), 'servicea')
    const more = token()
    await expect(revoked.revoke(more, 'servicea')).rejects.toMatchObject({
      status: 503,
      code: 'too_many_revoked',
      message:
        'The token is not revoked: servicea has revoked 2 tokens that have not expired yet. To refuse all tokens of a key now, withdraw it: POST /keys/:keyId/withdraw.',
    })
    expect(await revoked.has(more)).toBe(false)
    await revoked.revoke(token(), 'serviceb')
    await revoked.revoke(token(), 'servicea', true)
    // The share is free again in the minute after the tokens have expired.
    clock.advance(120_000)
    await revoked.revoke(token(), 'servicea')
  })

  it('limits the total, and has room again when tokens have expired', async () => {
    const revoked = await start(newZone(), { max: 2 })
    await revoked.revoke(token(), 'servicea')
    await revoked.revoke(token(), 'serviceb')
    await expect(revoked.revoke(token(), 'servicec')).rejects.toMatchObject({
      code: 'too_many_revoked',
      message: expect.stringContaining('2 tokens that have not expired yet are revoked'),
    })
    clock.advance(65_000)
    await revoked.revoke(token(), 'servicec')
  })

  it('does not confirm what could not be stored', async () => {
    const revoked = await start(newZone())
    shared.setFreeBytes(0)
    const one = token()
    await expect(revoked.revoke(one, 'servicea')).rejects.toMatchObject({
      status: 503,
      code: 'state_unavailable',
    })
    expect(await revoked.has(one)).toBe(false)
  })

  it('asks the store while changes may be missed, and rejects if it does not answer', async () => {
    const zone = newZone()
    let isBroken = false
    let isWatching = true
    const one = await start(zone)
    const store = await shared.open()
    const real = store.zone(zone, { pinned: true })
    const broken: Zone = Object.assign(Object.create(real) as Zone, {
      get: (key: string) =>
        isBroken ? Promise.reject(new StoreUnavailableError(new Error('frozen'))) : real.get(key),
      watch: () => {},
      entries: () => real.entries(),
      isWatching: () => isWatching,
    })
    const other = await start(zone, { zone: broken })
    const revoked = token()
    await one.revoke(revoked, 'servicea')
    isWatching = false
    expect(await other.has(revoked)).toBe(true)
    isBroken = true
    await expect(other.has(token())).rejects.toMatchObject({ status: 503, code: 'state_unavailable' })
  })
})

describe('RevocationTable', () => {
  it('holds 100,000 entries in at most 57 bytes each, and frees the room of expired ones', () => {
    const table = new RevocationTable()
    const jtis = Array.from({ length: 100_000 }, () => randomUUID())
    for (const jti of jtis) expect(table.add(jti, 100, 0)).toBe(true)
    expect(jtis.every((jti) => table.has(jti, 99))).toBe(true)
    expect(table.has(randomUUID(), 99)).toBe(false)
    expect(table.bytes / table.size).toBeLessThanOrEqual(57.2)
    expect(new Set([...table.entries(0)].map(([jti]) => jti))).toEqual(new Set(jtis))
    table.removeExpired(100)
    expect(table.size).toBe(0)
    expect(jtis.some((jti) => table.has(jti, 99))).toBe(false)
  })
})
