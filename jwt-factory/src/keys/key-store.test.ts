import { randomBytes } from 'node:crypto'
import { ManualClock } from '@hallpass/service-kit/testing'
import { localKeyEncryption, type Signers, SignerUnavailableError, wrappedSigners } from '@hallpass/signers'
import { type SharedStore, StoreUnavailableError, type Zone } from '@hallpass/token-store'
import { type Algorithm, parseCompact, thumbprint } from '@hallpass/tokens'
import { afterEach, describe, expect, it } from '@jest/globals'
import { useStore } from '../testing.ts'
import { KeyStore } from './key-store.ts'

const clock = new ManualClock()
const shared = useStore(clock.now)
const wrapped = wrappedSigners(localKeyEncryption([randomBytes(32)]))
const failures: string[] = []
const running: { keys: KeyStore; store: SharedStore }[] = []
let zones = 0

interface Options {
  readonly algorithm?: Algorithm
  readonly signers?: Signers
  readonly wrap?: (zone: Zone) => Zone
}

/** Starts a replica on a zone; each has a store of its own on the same folder, as another process has. */
async function replica(
  zone: string,
  { algorithm = 'ES256', signers = wrapped, wrap = (z) => z }: Options = {},
) {
  const store = await shared.open()
  const keys = new KeyStore({
    zone: wrap(store.zone(zone, { pinned: true })),
    signers,
    algorithm,
    clock: clock.now,
    retiredForMs: 3_600_000,
    onFailure: (_error, what) => failures.push(what),
  })
  await keys.start()
  running.push({ keys, store })
  return keys
}
const newZone = () => `zone${zones++}`
const sign = (keys: KeyStore, keyId: string) => keys.sign(keyId, {}, { lifetimeSeconds: 60 })
const kidOf = (token: string) => parseCompact(token).header.kid as string

afterEach(async () => {
  for (const { keys, store } of running.splice(0)) {
    await keys.stop()
    await store.close()
  }
  failures.length = 0
  shared.setFreeBytes(Number.MAX_SAFE_INTEGER)
})

describe('KeyStore', () => {
  it('creates one pair for concurrent requests for a new key ID', async () => {
    const keys = await replica(newZone())
    const rings = await Promise.all([
      ...Array.from({ length: 10 }, () => keys.getOrCreate('servicea')),
      ...Array.from({ length: 10 }, () => keys.createOrRotate('servicea')),
    ])
    expect(new Set(rings.map(({ signing }) => signing.kid)).size).toBe(1)
    expect(keys.keyIds).toEqual(['servicea'])
  })

  it('creates a separate key for each of several concurrent rotations', async () => {
    const keys = await replica(newZone())
    const { signing } = await keys.getOrCreate('servicea')
    const rings = await Promise.all(Array.from({ length: 5 }, () => keys.createOrRotate('servicea')))
    expect(new Set([signing.kid, ...rings.map((ring) => ring.signing.kid)]).size).toBe(6)
  })

  it('creates no next key in advance, and one after a rotation by hand, which the next rotation uses', async () => {
    const keys = await replica(newZone())
    expect((await keys.getOrCreate('servicea')).next).toBeUndefined()
    await keys.createOrRotate('servicea')
    const { next } = await keys.publishNext('servicea')
    expect(next?.state).toBe('published')
    expect((await keys.publishNext('servicea')).next?.kid).toBe(next?.kid)
    expect((await keys.rotate('servicea')).signing.kid).toBe(next?.kid)
  })

  it('makes the kid of the key ID and thumbprint, with at most 64 characters', async () => {
    const keys = await replica(newZone())
    const { signing } = await keys.getOrCreate('servicea')
    expect(signing.kid).toBe(`servicea-${thumbprint(signing.publicKey).slice(0, 22)}`)
    const long = await keys.getOrCreate('x'.repeat(64))
    expect(long.signing.kid).toMatch(/^x{41}-[\w-]{22}$/)
    expect((await keys.find(long.signing.kid))?.keyId).toBe('x'.repeat(64))
  })

  it('finds a key of any key ID by its kid, and none by a built-in name of JavaScript', async () => {
    const keys = await replica(newZone())
    const { signing } = await keys.getOrCreate('servicea')
    expect(await keys.find(signing.kid)).toEqual({ keyId: 'servicea', key: signing })
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(await keys.find(name)).toBeUndefined()
      expect(await keys.get(name)).toBeUndefined()
    }
  })

  it('refuses no key ID and no rotation for lack of room: the issuer’s own set has the latest 100 keys', async () => {
    const keys = await replica(newZone())
    for (let n = 0; n < 110; n += 1) {
      clock.advance(1)
      await keys.getOrCreate(`service-${n}`)
    }
    for (let n = 0; n < 110; n += 1) await keys.rotate('service-0')
    const { keys: published, isComplete } = keys.published()
    expect([published.length, isComplete]).toEqual([100, false])
    expect(published.map(({ kid }) => kid)).toContain((await keys.existing('service-109')).signing.kid)
    expect(published.map(({ kid }) => kid)).toContain((await keys.existing('service-0')).signing.kid)
    const first = await keys.existing('service-1')
    expect(await keys.find(first.signing.kid)).toMatchObject({ keyId: 'service-1' })
    expect(failures).toEqual([])
  })

  it('retires a key until its last token has expired, and the time another replica may still use it', async () => {
    const keys = await replica(newZone())
    const { signing } = await keys.getOrCreate('servicea')
    await keys.rotate('servicea')
    clock.advance(3_604_999)
    expect((await keys.find(signing.kid))?.key.state).toBe('retired')
    clock.advance(1)
    expect(await keys.find(signing.kid)).toBeUndefined()
  })
})

describe('the algorithm of a key', () => {
  it('stays when the configured one changes: old keys verify and sign, the next key has the new one', async () => {
    const zone = newZone()
    const before = await replica(zone, { algorithm: 'ES256' })
    const { signing } = await before.getOrCreate('servicea')
    await before.publishNext('servicea')
    const after = await replica(zone, { algorithm: 'EdDSA' })
    expect(parseCompact(await sign(after, 'servicea')).header).toMatchObject({
      alg: 'ES256',
      kid: signing.kid,
    })
    const rotated = await after.rotate('servicea')
    expect(rotated.signing.alg).toBe('EdDSA')
    expect((await after.find(signing.kid))?.key).toMatchObject({ alg: 'ES256', state: 'retired' })
    // The published key of the old algorithm never signed.
    expect(rotated.keys).toHaveLength(2)
  })
})

describe('a withdrawal', () => {
  it('takes a signing key out of all sets at once, and another key signs', async () => {
    const keys = await replica(newZone())
    const { signing } = await keys.getOrCreate('servicea')
    const ring = await keys.withdraw('servicea', signing.kid)
    expect(ring.signing.kid).not.toBe(signing.kid)
    expect(kidOf(await sign(keys, 'servicea'))).toBe(ring.signing.kid)
    expect(keys.published().keys.map(({ kid }) => kid)).toEqual([ring.signing.kid])
    expect((await keys.find(signing.kid))?.key.state).toBe('withdrawn')
  })

  it('changes nothing when it is repeated', async () => {
    const keys = await replica(newZone())
    const { signing } = await keys.getOrCreate('servicea')
    const once = await keys.withdraw('servicea', signing.kid)
    expect((await keys.withdraw('servicea', signing.kid)).print()).toBe(once.print())
    const all = await keys.withdraw('servicea', 'all')
    expect(all.keyNamed(once.signing.kid)?.state).toBe('withdrawn')
    expect((await keys.withdraw('servicea', 'all')).print()).toBe(all.print())
    clock.advance(60_000)
    expect((await keys.withdraw('servicea', 'all')).signing.kid).not.toBe(all.signing.kid)
  })

  it('of a retired or a next key leaves the signing key', async () => {
    const keys = await replica(newZone())
    const { signing: old } = await keys.getOrCreate('servicea')
    await keys.rotate('servicea')
    const { next, signing } = await keys.publishNext('servicea')
    for (const kid of [old.kid, next?.kid as string])
      expect((await keys.withdraw('servicea', kid)).signing.kid).toBe(signing.kid)
    expect(await sign(keys, 'servicea')).toBeTruthy()
    // The next rotation must not use the withdrawn next key.
    expect((await keys.rotate('servicea')).signing.kid).not.toBe(next?.kid)
  })

  it('names a key or a key ID that does not exist', async () => {
    const keys = await replica(newZone())
    await keys.getOrCreate('servicea')
    const missing = { status: 404, code: 'key_not_found' }
    await expect(keys.withdraw('servicea', 'x')).rejects.toMatchObject({
      ...missing,
      message: 'servicea has no key x.',
    })
    await expect(keys.withdraw('nobody', 'all')).rejects.toMatchObject(missing)
  })

  it('reaches other replicas within a second, also those with an opened private key', async () => {
    const zone = newZone()
    const [one, other] = [await replica(zone), await replica(zone)]
    const { signing } = await one.getOrCreate('servicea')
    expect(kidOf(await sign(other, 'servicea'))).toBe(signing.kid)
    const ring = await one.withdraw('servicea', 'all')
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(kidOf(await sign(other, 'servicea'))).toBe(ring.signing.kid)
    expect((await other.find(signing.kid))?.key.state).toBe('withdrawn')
  })
})

describe('replicas of one store', () => {
  it('know each other’s keys at once when they verify', async () => {
    const zone = newZone()
    const [one, other] = [await replica(zone), await replica(zone)]
    await one.getOrCreate('servicea')
    for (let round = 0; round < 5; round += 1) {
      await one.rotate('servicea')
      const kid = kidOf(await sign(one, 'servicea'))
      expect((await other.findIn('servicea', kid))?.kid).toBe(kid)
      expect((await other.find(kid))?.keyId).toBe('servicea')
    }
  })

  it('create one key for a new key ID, and lose no rotation when both rotate', async () => {
    const zone = newZone()
    const replicas = [await replica(zone), await replica(zone)]
    const created = await Promise.all(replicas.map((keys) => keys.getOrCreate('servicea')))
    expect(created[0]?.signing.kid).toBe(created[1]?.signing.kid)
    const rings = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (replicas[n % 2] as KeyStore).rotate('servicea')),
    )
    const signed = rings.map(({ signing }) => signing.kid)
    expect(new Set(signed).size).toBe(20)
    const last = await replica(zone)
    for (const kid of signed) expect((await last.find(kid))?.key.kid).toBe(kid)
  })

  it('follow changes that were never announced before they use a key', async () => {
    const zone = newZone()
    const silent = await replica(zone, {
      wrap: (real) => ({ ...boundTo(real), announce: () => Promise.resolve() }),
    })
    const other = await replica(zone)
    await silent.getOrCreate('servicea')
    await sign(other, 'servicea')
    const ring = await silent.rotate('servicea')
    await new Promise((resolve) => setTimeout(resolve, 1_050))
    expect(kidOf(await sign(other, 'servicea'))).toBe(ring.signing.kid)
  })
})

describe('a store that has lost its last writes, as by a failover', () => {
  /** Two replicas on one zone, and the zone itself, whose records the tests set back. */
  async function two() {
    const zone = newZone()
    const [one, other] = [await replica(zone), await replica(zone)]
    const { signing: first } = await one.getOrCreate('servicea')
    await other.existing('servicea')
    const raw = (await shared.open()).zone(zone, { pinned: true })
    const before = await raw.get('servicea')
    return { one, other, first, raw, setBack: () => raw.overrule('servicea', before) }
  }
  const stateOf = async (keys: KeyStore, kid: string) => (await keys.findIn('servicea', kid))?.state
  async function until(check: () => Promise<boolean>) {
    for (let tries = 0; tries < 200 && !(await check()); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await check()).toBe(true)
  }

  it('gets a rotation back, and no token is refused where it is known', async () => {
    const { one, other, first, setBack } = await two()
    const { signing: second } = await one.rotate('servicea')
    await setBack()
    expect(await stateOf(one, second.kid)).toBe('signing')
    await until(async () => (await stateOf(other, second.kid)) === 'signing')
    expect(await stateOf(other, first.kid)).toBe('retired')
    expect(kidOf(await sign(other, 'servicea'))).toBe(second.kid)
    // The other replica may know the rotation before the first one has noticed the loss.
    await until(async () => failures.includes('they are written back'))
  })

  it('gets a withdrawal back', async () => {
    const { one, other, first, setBack } = await two()
    const { signing } = await one.withdraw('servicea', first.kid)
    await setBack()
    await until(async () => (await stateOf(other, first.kid)) === 'withdrawn')
    expect(kidOf(await sign(other, 'servicea'))).toBe(signing.kid)
    expect(await stateOf(one, first.kid)).toBe('withdrawn')
  })

  it('gets a whole record back', async () => {
    const { other, first, raw } = await two()
    await raw.overrule('servicea', undefined)
    expect(kidOf(await sign(other, 'servicea'))).toBe(first.kid)
    await until(async () => (await raw.get('servicea')) !== undefined)
  })

  it('keeps both rotations if another replica has rotated meanwhile', async () => {
    const { one, other, first, raw, setBack } = await two()
    const { signing: second } = await one.rotate('servicea')
    await setBack()
    const { signing: third } = await other.rotate('servicea')
    await until(async () =>
      [first, second, third].every(({ kid }) => other.rings[0]?.keyNamed(kid) !== undefined),
    )
    for (const keys of [one, other])
      for (const { kid } of [first, second, third])
        expect(await stateOf(keys, kid)).toMatch(/signing|retired/)
    const { keys } = JSON.parse((await raw.get('servicea'))?.value ?? '')
    expect(keys.length).toBe(3)
  })

  it('does not bring back keys that were removed because they have expired', async () => {
    const { one, other, first } = await two()
    await one.rotate('servicea')
    clock.advance(3_700_000)
    await one.rotate('servicea')
    await until(async () => !(await other.existing('servicea')).keyNamed(first.kid))
    expect(failures).toEqual([])
  })
})

describe('a store that fails', () => {
  const unavailable = { status: 503, code: 'state_unavailable' }

  it('changes nothing, and says why: a full disk', async () => {
    const zone = newZone()
    const keys = await replica(zone)
    const { signing } = await keys.getOrCreate('servicea')
    shared.setFreeBytes(0)
    for (const change of [
      () => keys.rotate('servicea'),
      () => keys.rotate('servicea'),
      () => keys.publishNext('servicea'),
      () => keys.withdraw('servicea', 'all'),
      () => keys.getOrCreate('serviceb'),
    ])
      await expect(change()).rejects.toMatchObject({
        ...unavailable,
        message: expect.stringMatching(/^The shared store is full \(the disk of .* has 0 KB left\)\.$/),
        headers: { 'retry-after': '2' },
      })
    expect(kidOf(await sign(keys, 'servicea'))).toBe(signing.kid)
    expect((await (await replica(zone)).existing('servicea')).keys).toHaveLength(1)
    shared.setFreeBytes(Number.MAX_SAFE_INTEGER)
    const ring = await keys.rotate('servicea')
    expect(ring.keys).toHaveLength(2)
  })

  it('does not rotate twice when the answer to the first write was lost', async () => {
    const zone = newZone()
    let losesAnswers = false
    const keys = await replica(zone, {
      wrap: (real) => ({
        ...boundTo(real),
        replace: async (...write) => {
          const answer = await real.replace(...write)
          if (losesAnswers) throw new StoreUnavailableError(new Error('timed out'))
          return answer
        },
      }),
    })
    await keys.getOrCreate('servicea')
    losesAnswers = true
    await expect(keys.rotate('servicea')).rejects.toMatchObject(unavailable)
    losesAnswers = false
    const ring = await keys.rotate('servicea')
    expect(ring.keys).toHaveLength(2)
    // The attempt is now complete: this is another rotation.
    expect((await keys.rotate('servicea')).keys).toHaveLength(3)
  })

  it('is not changed by a release that does not know its records', async () => {
    const zone = newZone()
    const keys = await replica(zone)
    await keys.getOrCreate('servicea')
    const raw = (await shared.open()).zone(zone, { pinned: true })
    const { value, endsAt } = (await raw.get('servicea')) ?? { value: '', endsAt: 0 }
    await raw.overrule('servicea', { value: JSON.stringify({ ...JSON.parse(value), v: 2 }), endsAt })
    await expect(keys.rotate('servicea')).rejects.toMatchObject({
      ...unavailable,
      message:
        'The record of the key ID servicea was written by a newer release (version 2; this one knows 1). Upgrade this replica.',
    })
    const older = await replica(zone)
    expect(() => older.check()).toThrow('The keys have not been read from the store yet.')
  })

  it('signs nothing while it cannot be read and the copies are old', async () => {
    let isBroken = false
    const keys = await replica(newZone(), {
      wrap: (real) => ({
        ...boundTo(real),
        get: (key) =>
          isBroken ? Promise.reject(new StoreUnavailableError(new Error('frozen'))) : real.get(key),
        isWatching: () => !isBroken && real.isWatching(),
      }),
    })
    await keys.getOrCreate('servicea')
    isBroken = true
    await expect(sign(keys, 'servicea')).rejects.toMatchObject({
      ...unavailable,
      message: 'The shared store is not available (frozen).',
    })
    isBroken = false
    await sign(keys, 'servicea')
  })

  it('at the start is read again until it answers', async () => {
    let isBroken = true
    const zone = newZone()
    await (await replica(zone)).getOrCreate('servicea')
    const keys = await replica(zone, {
      wrap: (real) => ({
        ...boundTo(real),
        entries: () => {
          if (isBroken) throw new StoreUnavailableError(new Error('down'))
          return real.entries()
        },
      }),
    })
    expect(() => keys.check()).toThrow('The keys have not been read from the store yet.')
    isBroken = false
    await keys.current()
    keys.check()
    expect(keys.keyIds).toEqual(['servicea'])
  })
})

describe('signers that fail', () => {
  it('change nothing; the same key is used once they are back', async () => {
    const created: string[] = []
    let isDown = true
    const signers: Signers = {
      kind: 'wrapped',
      open: (...args) => wrapped.open(...args),
      destroy: () => wrapped.destroy(''),
      check: () => wrapped.check(),
      close: () => wrapped.close(),
      create: async (alg, keyId) => {
        if (isDown) throw new SignerUnavailableError('The HSM', 'no slot')
        const made = await wrapped.create(alg, keyId)
        created.push(made.key.kid)
        return made
      },
    }
    const keys = await replica(newZone(), { signers })
    await expect(keys.getOrCreate('servicea')).rejects.toMatchObject({
      status: 503,
      code: 'signer_unavailable',
      message: 'The HSM is not available (no slot).',
    })
    expect(keys.keyIds).toEqual([])
    isDown = false
    shared.setFreeBytes(0)
    await expect(keys.getOrCreate('servicea')).rejects.toMatchObject({ code: 'state_unavailable' })
    await expect(keys.getOrCreate('servicea')).rejects.toMatchObject({ code: 'state_unavailable' })
    shared.setFreeBytes(Number.MAX_SAFE_INTEGER)
    expect((await keys.getOrCreate('servicea')).signing.kid).toBe(created[0])
    expect(created).toHaveLength(1)
  })

  it('are asked once by a probe if they do not answer, however many keys there are', async () => {
    const zone = newZone()
    const before = await replica(zone)
    for (const keyId of ['a', 'b', 'c']) await before.getOrCreate(keyId)
    let asked = 0
    const silent: Signers = {
      ...boundSigners(wrapped),
      open: async () => {
        asked += 1
        throw new SignerUnavailableError('The HSM', 'no answer')
      },
    }
    const keys = await replica(zone, { signers: silent })
    expect(await keys.warning()).toBeUndefined()
    expect(asked).toBe(1)
  })

  it('of another kind cannot use a key; the remedy is a rotation', async () => {
    const zone = newZone()
    await (await replica(zone)).getOrCreate('servicea')
    const kind = 'pkcs11' as const
    const outside = { ...boundSigners(wrapped), kind }
    const keys = await replica(zone, { signers: outside })
    await expect(sign(keys, 'servicea')).rejects.toMatchObject({
      status: 503,
      code: 'key_not_usable',
      message: expect.stringMatching(/^The private key servicea-\S+ is not in pkcs11\. Rotate the key\.$/),
    })
    await keys.rotate('servicea')
    await sign(keys, 'servicea')
  })
})

describe('a key-encryption key that is replaced', () => {
  const [first, second] = [randomBytes(32), randomBytes(32)]
  const under = (...keys: Buffer[]) => ({ signers: wrappedSigners(localKeyEncryption(keys)) })

  it('wraps the key that signs after one rotation, so that the old one can go', async () => {
    const zone = newZone()
    const before = await replica(zone, under(first))
    await before.getOrCreate('servicea')
    await before.publishNext('servicea')
    await (await replica(zone, under(second, first))).rotate('servicea')
    const after = await replica(zone, under(second))
    await sign(after, 'servicea')
    expect(await after.warning()).toBeUndefined()
  })

  it('and is lost is reported with the remedy, which one rotation is', async () => {
    const zone = newZone()
    const before = await replica(zone, under(first))
    await before.getOrCreate('servicea')
    await before.publishNext('servicea')
    const after = await replica(zone, under(second))
    expect(await after.warning()).toMatch(
      /is not in KEY_ENCRYPTION_KEY_FILE\. Add it there as a line, or rotate the key\.$/,
    )
    await after.rotate('servicea')
    await sign(after, 'servicea')
  })
})

/** Copies the methods of a zone, to replace some. */
function boundTo(zone: Zone): Zone {
  return {
    get: (key) => zone.get(key),
    replace: (...args) => zone.replace(...args),
    overrule: (...args) => zone.overrule(...args),
    announce: (key) => zone.announce(key),
    clear: () => zone.clear(),
    lease: (...args) => zone.lease(...args),
    entries: () => zone.entries(),
    count: () => zone.count(),
    watch: (listener) => zone.watch(listener),
    isWatching: () => zone.isWatching(),
  }
}

function boundSigners(signers: Signers): Signers {
  return {
    kind: signers.kind,
    create: (...args) => signers.create(...args),
    open: (...args) => signers.open(...args),
    destroy: () => signers.destroy(''),
    check: () => signers.check(),
    close: () => signers.close(),
  }
}
