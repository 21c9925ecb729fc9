import { openStore } from './open-store.ts'

/** Writes one entry after another, and prints the key of each when it is written, until it is killed. */
const [location, name, pinned] = process.argv.slice(2) as [string, string, string]
const store = await openStore(location)
const zone = store.zone(name, { pinned: pinned === 'pinned' })
for (let n = 0; ; n += 1) {
  await zone.replace(`key${n}`, undefined, { value: 'v'.repeat(5_000), endsAt: Date.now() + 60_000 })
  // Waits for a reader that is behind; a synchronous write would fail (EAGAIN).
  await new Promise((resolve) => process.stdout.write(`key${n}\n`, resolve))
}
