import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { LmdbStore } from '@hallpass/token-store'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { type Peer, Peers } from './peers.ts'

let folder: string
let store: LmdbStore
const clock = new ManualClock(1_800_000_000_000)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'peers-'))
  store = new LmdbStore({ folder, clock: clock.now })
  await store.open()
})
afterEach(async () => {
  await store.close()
  await rm(folder, { recursive: true })
})

const peersOf = (name: string) =>
  new Peers(
    store.zone('peers'),
    () => ({ name, startedAt: 0, copies: 0, blocks: { count: 0, fingerprint: '0' } }) as Peer,
    clock.now,
  )
const seenBy = async (peers: Peers) => {
  const { peers: present, absent } = await peers.all()
  return { present: present.map(({ name }) => name), absent }
}

it('lists a proxy that stops reporting as absent, until everything it can have missed has expired', async () => {
  const [one, two] = [peersOf('proxy1'), peersOf('proxy2')]
  await two.tell()
  await one.tell()
  expect(await seenBy(one)).toEqual({ present: ['proxy1', 'proxy2'], absent: [] })
  clock.advance(4_000)
  await one.tell()
  expect(await seenBy(one)).toEqual({ present: ['proxy1'], absent: ['proxy2'] })
  clock.advance(290_000)
  await one.tell()
  expect(await seenBy(one)).toEqual({ present: ['proxy1'], absent: ['proxy2'] })
  clock.advance(6_000)
  await one.tell()
  expect(await seenBy(one)).toEqual({ present: ['proxy1'], absent: [] })
  await two.tell()
  expect(await seenBy(one)).toEqual({ present: ['proxy1', 'proxy2'], absent: [] })
})

it('removes a proxy that reports that it stops', async () => {
  const [one, two] = [peersOf('proxy1'), peersOf('proxy2')]
  await one.tell()
  void two.tell()
  await two.stop()
  await two.tell()
  expect(await seenBy(one)).toEqual({ present: ['proxy1'], absent: [] })
})
