import type { RedisConnection } from './connection.ts'

/** How the entries of one zone are stored in Redis. A stored value begins with its expiry time. */
export interface RedisCells {
  get(key: string): Promise<string | null>
  /** Writes if the value is still `seen`. An absent or expired value is ''. */
  replace(key: string, seen: string, next: string, endsAt: number, now: number): Promise<boolean>
  set(key: string, value: string, endsAt: number, now: number): Promise<unknown>
  delete(key: string): Promise<unknown>
  /** Removes an expired value, unless another was written since. */
  drop(key: string, value: string): Promise<unknown>
  scan(): AsyncIterable<readonly (readonly [key: string, value: string])[]>
  count(): Promise<number>
  clear(): Promise<unknown>
  /** Removes some values that have expired before `now`. Returns whether there may be more. */
  sweep(now: number): Promise<boolean>
}

const SCAN_COUNT = 500
/** Of the largest usual values, 20 KB, a page is two megabytes: a millisecond or two in which Redis does nothing else. */
const FIELD_SCAN_COUNT = 100
/** The maximum number of removals at a time, a millisecond of Redis's time. */
const SWEEP_BATCH = 500

/** Lua: a value that has expired by the caller's clock counts as absent, whatever Redis's own clock says. */
const ENDED = `if value ~= '' and tonumber(string.match(value, '^%d+') or '0') <= tonumber(ARGV[1]) then value = '' end`

const REPLACE_KEY = `
local value = redis.call('get', KEYS[1]) or ''
${ENDED}
if value ~= ARGV[2] then return 0 end
redis.call('set', KEYS[1], ARGV[3], 'px', ARGV[4])
return 1`

/** A key per entry with Redis's own expiry, so that Redis can evict it when its memory is full. */
export class ExpiringKeys implements RedisCells {
  readonly #connection: () => RedisConnection
  readonly #prefix: string

  constructor(connection: () => RedisConnection, prefix: string) {
    this.#connection = connection
    this.#prefix = `${prefix}:entry:`
  }

  get(key: string) {
    return this.#connection().get(this.#prefix + key)
  }

  async replace(key: string, seen: string, next: string, endsAt: number, now: number) {
    const name = this.#prefix + key
    return (await this.#connection().eval(REPLACE_KEY, 1, name, now, seen, next, endsAt - now)) === 1
  }

  set(key: string, value: string, endsAt: number, now: number) {
    return this.#connection().set(this.#prefix + key, value, 'PX', endsAt - now)
  }

  delete(key: string) {
    return this.#connection().del(this.#prefix + key)
  }

  /** Redis removes expired keys itself. */
  async drop() {}

  async sweep() {
    return false
  }

  async *scan() {
    for await (const names of this.#names()) {
      const values = await Promise.all(names.map((name) => this.#connection().get(name)))
      yield names.flatMap((name, index) => {
        const value = values[index]
        return value ? [[name.slice(this.#prefix.length), value] as const] : []
      })
    }
  }

  async count() {
    const found = new Set<string>()
    for await (const names of this.#names()) for (const name of names) found.add(name)
    return found.size
  }

  async clear() {
    for await (const names of this.#names())
      await Promise.all(names.map((name) => this.#connection().unlink(name)))
  }

  /** Scans every master of a cluster. */
  async *#names(): AsyncIterable<string[]> {
    const connection = this.#connection()
    for (const node of mastersOf(connection)) {
      let cursor = '0'
      do {
        const [next, names] = await node.scan(cursor, 'MATCH', `${this.#prefix}*`, 'COUNT', SCAN_COUNT)
        cursor = next
        if (names.length > 0) yield names
      } while (cursor !== '0')
    }
  }
}

const REPLACE_FIELD = `
local value = redis.call('hget', KEYS[1], ARGV[4]) or ''
${ENDED}
if value ~= ARGV[2] then return 0 end
redis.call('hset', KEYS[1], ARGV[4], ARGV[3])
redis.call('zadd', KEYS[2], ARGV[5], ARGV[4])
return 1`

const SET_FIELD = `
redis.call('hset', KEYS[1], ARGV[1], ARGV[2])
redis.call('zadd', KEYS[2], ARGV[3], ARGV[1])`

const DELETE_FIELD = `
redis.call('zrem', KEYS[2], ARGV[1])
return redis.call('hdel', KEYS[1], ARGV[1])`

const DROP_FIELD = `if redis.call('hget', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('hdel', KEYS[1], ARGV[1]) end return 0`

const SWEEP_FIELDS = `
local due = redis.call('zrangebyscore', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, key in ipairs(due) do
  local value = redis.call('hget', KEYS[1], key) or ''
  ${ENDED}
  if value == '' then redis.call('hdel', KEYS[1], key) end
  redis.call('zrem', KEYS[2], key)
end
return #due`

/**
 * One hash for all entries, without an expiry: the `volatile-*` policies never evict it, and the entries are listed
 * without a scan of all keys. A sorted set with the expiry times tells which fields to remove.
 */
export class PinnedHash implements RedisCells {
  readonly #connection: () => RedisConnection
  readonly #name: string
  readonly #ends: string

  constructor(connection: () => RedisConnection, prefix: string) {
    this.#connection = connection
    // The same hash tag: in a cluster, both are on one node.
    this.#name = `{${prefix}}:pinned`
    this.#ends = `{${prefix}}:ends`
  }

  get(key: string) {
    return this.#connection().hget(this.#name, key)
  }

  async replace(key: string, seen: string, next: string, endsAt: number, now: number) {
    return (await this.#eval(REPLACE_FIELD, now, seen, next, key, endsAt)) === 1
  }

  set(key: string, value: string, endsAt: number) {
    return this.#eval(SET_FIELD, key, value, endsAt)
  }

  delete(key: string) {
    return this.#eval(DELETE_FIELD, key)
  }

  drop(key: string, value: string) {
    return this.#eval(DROP_FIELD, key, value)
  }

  async sweep(now: number) {
    return (await this.#eval(SWEEP_FIELDS, now, SWEEP_BATCH)) === SWEEP_BATCH
  }

  async *scan() {
    let cursor = '0'
    do {
      const [next, flat] = await this.#connection().hscan(this.#name, cursor, 'COUNT', FIELD_SCAN_COUNT)
      cursor = next
      const page: [string, string][] = []
      for (let index = 0; index < flat.length; index += 2)
        page.push([flat[index] as string, flat[index + 1] as string])
      yield page
    } while (cursor !== '0')
  }

  count() {
    return this.#connection().hlen(this.#name)
  }

  clear() {
    return this.#connection().unlink(this.#name, this.#ends)
  }

  #eval(script: string, ...args: (string | number)[]) {
    return this.#connection().eval(script, 2, this.#name, this.#ends, ...args)
  }
}

export const mastersOf = (connection: RedisConnection) =>
  'nodes' in connection ? connection.nodes('master') : [connection]
