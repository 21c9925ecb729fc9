import { statSync } from 'node:fs'
import { join } from 'node:path'
import { LmdbStore, type Zone } from '@hallpass/token-store'
import { lifeOf, toStored } from '../token-cache/proxy/src/cache/cached-token.ts'
import { KeyMaker } from '../token-cache/proxy/src/identity/identity.ts'
import { formatTable } from './table.ts'
import { AUDIENCE, type BenchIssuer, ISSUER } from './token-cache/issuer.ts'
import { AGENT, type Hop, Tier } from './token-cache/tier.ts'
import { askForUsers } from './token-cache/user-load.ts'

const USERS = Number(process.env.USERS ?? 1_000_000)
const STEPS = 10
/** Users per step whose token is fetched through the proxies: a request, a call to the issuer, an entry. */
const NEW = 6_000
/** Concurrent requests for them, at each proxy. */
const NEW_AT_ONCE = 32
/** Random users per step whose token is in the store but not in the proxy's memory. */
const KNOWN = 8_000
const KNOWN_AT_ONCE = 4
/** Concurrent writes, enough to fill lmdb's transactions. */
const BATCH = 10_000
/** Time limit for busy machines; the number of users reached by then is printed. */
const MOST_MS = 900_000
const STORE = 'users'
/** Long enough that no entry expires during the run, so that all users are in the store at the end. */
const LIFE_SECONDS = 3_600

/**
 * Fills the store that two proxies share with a million users, in ten steps. Measures after each step the latency for new
 * users and for users whose token is only in the store, and the memory of the processes and the store.
 *
 * Most users are written directly into the store, each with a token; fetching all tokens through the proxies takes three
 * times as long and shows the same. The issuer signs with ES256, ten times as fast as RS256, because it is not measured.
 */
export async function run(root: string): Promise<void> {
  const tier = await Tier.open(root, 'ES256')
  const store = new LmdbStore({ folder: join(tier.folder, STORE) })
  try {
    await store.open()
    const env = { CACHE_SECONDS: String(LIFE_SECONDS) }
    const proxies = [await tier.proxy('a', STORE, env), await tier.proxy('b', STORE, env)]
    await report(tier, proxies, store.zone('tokens'))
  } finally {
    await store.close()
    await tier.close()
  }
}

async function report(tier: Tier, proxies: readonly Hop[], zone: Zone): Promise<void> {
  const rows: string[][] = []
  const started = performance.now()
  const seconds = () => Math.round((performance.now() - started) / 1000)
  let users = 0
  for (let step = 1; step <= STEPS && seconds() * 1000 < MOST_MS; step += 1) {
    const from = users
    users = Math.round((USERS * step) / STEPS)
    const newcomers = Math.min(NEW, users - from)
    const fresh = await askForUsers(proxies, upTo(newcomers, from), NEW_AT_ONCE)
    await fill(zone, tier.issuer, from + newcomers, users)
    const randomUsers = Array.from({ length: KNOWN }, () => Math.floor(Math.random() * users))
    const known = await askForUsers(proxies, randomUsers, KNOWN_AT_ONCE)
    const failures = fresh.failures + known.failures
    if (failures > 0) throw new Error(`${failures} requests failed.`)
    rows.push([
      users.toLocaleString('en'),
      fresh.p50.toFixed(1),
      fresh.p99.toFixed(1),
      known.p50.toFixed(2),
      known.p99.toFixed(2),
      ...memoryOf(proxies),
      (statSync(join(tier.folder, STORE, 'store/data.mdb')).size / 2 ** 20).toFixed(0),
    ])
    console.log(`${users.toLocaleString('en')} users after ${seconds()} s`)
  }
  console.log(
    `\nAt each size: ${NEW} new users (${2 * NEW_AT_ONCE} concurrent), then ${KNOWN} random known users (${2 * KNOWN_AT_ONCE} concurrent)\n`,
  )
  console.log(
    formatTable(
      ['users', 'new: p50 ms', 'p99', 'known: p50 ms', 'p99', 'private MB per proxy', 'mapped MB', 'file MB'],
      rows,
    ),
  )
  const minted = Math.min(NEW, USERS / STEPS) * rows.length
  const calls = tier.issuer.calls()
  console.log(`\ncalls to the issuer: ${calls}, one per new user: ${calls === minted ? 'yes' : 'NO'}`)
  if (users < USERS) console.log(`Stopped after ${MOST_MS / 1000} s; ${USERS - users} users are missing.`)
}

/** Formats the private memory of the processes, and their mapped pages of the store, which the system can reclaim. */
function memoryOf(proxies: readonly Hop[]): [own: string, pages: string] {
  const each = proxies.map(({ contestant }) => contestant.memory())
  const shown = (figures: number[]) => figures.map((figure) => figure.toFixed(0)).join(' + ')
  return [shown(each.map(({ rss, ofFiles }) => rss - ofFiles)), shown(each.map(({ ofFiles }) => ofFiles))]
}

const upTo = (count: number, from: number) => Array.from({ length: count }, (_, index) => from + index)

/**
 * Writes entries as the cache does, with compare and set, but in key order: in any other order, each entry of 1 KB would
 * rewrite its own pages, 20 KB.
 */
async function fill(zone: Zone, issuer: BenchIssuer, from: number, to: number): Promise<void> {
  const keys = new KeyMaker({ issuer: ISSUER, audience: AUDIENCE })
  const maxAgeMs = LIFE_SECONDS * 1000
  const write = async ({ key, user }: { key: string; user: string }) => {
    const now = Date.now()
    const life = lifeOf(now + maxAgeMs, now, { maxAgeMs, marginMs: 5_000 })
    if (!life) throw new Error('the lifetime is too short to cache')
    const token = await issuer.tokenFor(user)
    const readable = `${user}:${AGENT}`
    const entry = toStored({ kind: 'token', readable, token, jti: user, ...life })
    if (!(await zone.replace(key, undefined, entry))) throw new Error(`${readable} already exists.`)
  }
  const users = upTo(to - from, from)
    .map((number) => ({ user: `user${number}`, key: keys.keyOf([`user${number}`, AGENT]) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  for (let at = 0; at < users.length; at += BATCH) await Promise.all(users.slice(at, at + BATCH).map(write))
}
