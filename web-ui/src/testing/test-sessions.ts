import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ManualClock } from '@hallpass/service-kit/testing'
import { SealedStore } from '@hallpass/token-store'
import { SessionStore } from '../sessions/session-store.ts'

export interface TestSessions {
  /** One for each replica. */
  readonly replicas: readonly [SessionStore, SessionStore]
  readonly folder: string
  close(): Promise<void>
}

/** Opens the sessions of two replicas on one embedded store, for the tests of one file. */
export async function openTestSessions(
  clock: ManualClock,
  { maxEntries = 20_000 } = {},
): Promise<TestSessions> {
  const folder = await mkdtemp(join(tmpdir(), 'hallpass-sessions-'))
  const open = () =>
    SealedStore.open({
      place: { redis: undefined, storeFolder: folder },
      name: 'web-ui',
      secret: 'a secret of more than 32 characters',
      scope: '',
      common: {},
      maxEntries,
      clock: clock.now,
    })
  const stores = [await open(), await open()] as const
  const sessionsOf = (store: SealedStore) =>
    new SessionStore({ store, maxMs: 8_000_000, idleMs: 1_000_000, clock: clock.now })
  return {
    replicas: [sessionsOf(stores[0]), sessionsOf(stores[1])],
    folder,
    async close() {
      await Promise.all(stores.map((store) => store.close()))
      await rm(folder, { recursive: true })
    },
  }
}
