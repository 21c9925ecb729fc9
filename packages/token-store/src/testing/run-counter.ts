import { openStore } from './open-store.ts'

/** Tries to increment the entry `count` by compare and set, and prints how often it succeeded. */
const [location, name, pinned, attempts] = process.argv.slice(2) as [string, string, string, string]
const store = await openStore(location)
const zone = store.zone(name, { pinned: pinned === 'pinned' })
let wins = 0
for (let attempt = 0; attempt < Number(attempts); attempt += 1) {
  const seen = await zone.get('count')
  const next = { value: String(Number(seen?.value ?? 0) + 1), endsAt: Date.now() + 600_000 }
  if (await zone.replace('count', seen, next)) wins += 1
}
console.log(wins)
await store.close()
