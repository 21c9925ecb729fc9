import { statSync } from 'node:fs'
import { join } from 'node:path'
import { LmdbStore, type Zone } from '@hallpass/token-store'
import { lifeOf, toStored } from '../token-cache/proxy/src/cached-token.ts'
import { KeyMaker } from '../token-cache/proxy/src/identity.ts'
import { formatTable } from './table.ts'
import { AUDIENCE, type BenchIssuer, ISSUER } from './token-cache/issuer.ts'
import { AGENT, type Hop, Tier } from './token-cache/tier.ts'
import { askForUsers } from './token-cache/user-load.ts'

const USERS = Number(process.env.USERS ?? 1_000_000)
const STEPS = 10
/** Of each step's users, those that come as in life: a request, a call to the issuer, an entry. */
const NEW = 6_000
/** Requests under way for them, at each proxy. */
const NEW_AT_ONCE = 32
/** After each step, users at random of whom the store knows and the proxy does not. */
const KNOWN = 8_000
const KNOWN_AT_ONCE = 4
/** So many entries are being written at once, which fills lmdb's transactions. */
const BATCH = 10_000
/** On a machine on which other work goes on it must not take the whole afternoon; what was reached is printed. */
const MOST_MS = 900_000
const STORE = 'users'
/** Nothing ends while the users come, so that at last all of them are in the store. */
const LIFE_SECONDS = 3_600

/**
 * A million distinct users in the store that two proxies share, a tenth at a time: how long a new one takes, how long
 * one takes whom the store knows and the proxy does not, and what the processes and the store hold by then.
 *
 * Most are written as a proxy writes them, each with a token of their own; to mint all of them through the proxies takes
 * three times as long and tells no more. The issuer signs with ES256, a tenth of the time of RS256: it is not measured.
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
    const anybody = Array.from({ length: KNOWN }, () => Math.floor(Math.random() * users))
    const known = await askForUsers(proxies, anybody, KNOWN_AT_ONCE)
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
    `\nAt each size: ${NEW} new users (${2 * NEW_AT_ONCE} at a time), then ${KNOWN} of all at random (${2 * KNOWN_AT_ONCE} at a time)\n`,
  )
  console.log(
    formatTable(
      ['users', 'new: p50 ms', 'p99', 'known: p50 ms', 'p99', 'own MB of each proxy', 'and pages', 'file MB'],
      rows,
    ),
  )
  const minted = Math.min(NEW, USERS / STEPS) * rows.length
  const calls = tier.issuer.calls()
  console.log(`\ncalls to the issuer: ${calls}, as many as new users: ${calls === minted ? 'yes' : 'NO'}`)
  if (users < USERS) console.log(`${USERS - users} users are missing: ${MOST_MS / 1000} s were over.`)
}

/** What is the process's own, and what it has mapped of the store, which the system takes back when it needs it. */
function memoryOf(proxies: readonly Hop[]): [own: string, pages: string] {
  const each = proxies.map(({ contestant }) => contestant.memory())
  const shown = (figures: number[]) => figures.map((figure) => figure.toFixed(0)).join(' + ')
  return [shown(each.map(({ rss, ofFiles }) => rss - ofFiles)), shown(each.map(({ ofFiles }) => ofFiles))]
}

const upTo = (count: number, from: number) => Array.from({ length: count }, (_, index) => from + index)

/**
 * Writes entries as the cache does, through the same compare and set, but in the order of their keys: in any other, each
 * would rewrite a page of the file for itself, 20 KB for an entry of one.
 */
async function fill(zone: Zone, issuer: BenchIssuer, from: number, to: number): Promise<void> {
  const keys = new KeyMaker({ issuer: ISSUER, audience: AUDIENCE })
  const maxAgeMs = LIFE_SECONDS * 1000
  const write = async ({ key, user }: { key: string; user: string }) => {
    const now = Date.now()
    const life = lifeOf(now + maxAgeMs, now, { maxAgeMs, marginMs: 5_000 })
    if (!life) throw new Error('a life of an hour is long enough')
    const token = await issuer.tokenFor(user)
    const readable = `${user}:${AGENT}`
    const entry = toStored({ kind: 'token', readable, token, jti: user, ...life })
    if (!(await zone.replace(key, undefined, entry))) throw new Error(`${readable} was there already.`)
  }
  const users = upTo(to - from, from)
    .map((number) => ({ user: `user${number}`, key: keys.keyOf([`user${number}`, AGENT]) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  for (let at = 0; at < users.length; at += BATCH) await Promise.all(users.slice(at, at + BATCH).map(write))
}
