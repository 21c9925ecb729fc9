import { LmdbStore } from '../lmdb/store.ts'

/** Writes on each line of its input, reports what came of it, and closes its store at the end of the input. */
const store = new LmdbStore({ folder: process.argv[2] as string })
await store.open()
const zone = store.zone('tokens')
console.log('open')
let round = 0
for await (const _ of process.stdin) {
  round += 1
  console.log(
    await zone.overrule(`closer${round}`, { value: 'v', endsAt: Date.now() + 60_000 }).then(
      () => 'written',
      (error: Error) => error.name,
    ),
  )
}
await store.close()
console.log('closed')
process.exit(0)
