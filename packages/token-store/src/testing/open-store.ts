import { LmdbStore } from '../lmdb/store.ts'
import { RedisStore } from '../redis/store.ts'
import type { SharedStore } from '../shared-store.ts'

/** Opens the store in a folder, or at a Redis URL. */
export async function openStore(location: string): Promise<SharedStore> {
  const store = location.startsWith('redis')
    ? new RedisStore({ url: location })
    : new LmdbStore({ folder: location })
  await store.open()
  return store
}
