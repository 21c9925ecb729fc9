import { LmdbStore } from '../lmdb/store.ts'

/** Writes and overrules entries as fast as possible until it is killed. An entry's value repeats its key. */
const store = new LmdbStore({ folder: process.argv[2] as string })
await store.open()
const zone = store.zone('tokens')
console.log('writing')
for (let round = 0; ; round += 1) {
  const keys = Array.from({ length: 50 }, (_, i) => `key${(round * 50 + i) % 1_000}`)
  await Promise.all(
    keys.map(async (key) => {
      const entry = { value: key.repeat(100), endsAt: Date.now() + 60_000 }
      const lease = await zone.lease(key, 10_000)
      if (round % 3 === 0) await zone.overrule(key, entry)
      else await zone.replace(key, await zone.get(key), entry)
      await lease?.release()
    }),
  )
}
