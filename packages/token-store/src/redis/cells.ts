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
}

const SCAN_COUNT = 500

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
    let count = 0
    for await (const names of this.#names()) count += names.length
    return count
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
return 1`

const DROP_FIELD = `if redis.call('hget', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('hdel', KEYS[1], ARGV[1]) end return 0`

/**
 * One hash for all entries, without an expiry: the `volatile-*` policies never evict it, and the entries are listed
 * without a scan of all keys. Listing the entries removes the expired ones.
 */
export class PinnedHash implements RedisCells {
  readonly #connection: () => RedisConnection
  readonly #name: string

  constructor(connection: () => RedisConnection, prefix: string) {
    this.#connection = connection
    this.#name = `{${prefix}}:pinned`
  }

  get(key: string) {
    return this.#connection().hget(this.#name, key)
  }

  async replace(key: string, seen: string, next: string, _endsAt: number, now: number) {
    return (await this.#connection().eval(REPLACE_FIELD, 1, this.#name, now, seen, next, key)) === 1
  }

  set(key: string, value: string) {
    return this.#connection().hset(this.#name, key, value)
  }

  delete(key: string) {
    return this.#connection().hdel(this.#name, key)
  }

  drop(key: string, value: string) {
    return this.#connection().eval(DROP_FIELD, 1, this.#name, key, value)
  }

  async *scan() {
    let cursor = '0'
    do {
      const [next, flat] = await this.#connection().hscan(this.#name, cursor, 'COUNT', SCAN_COUNT)
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
    return this.#connection().unlink(this.#name)
  }
}

export const mastersOf = (connection: RedisConnection) =>
  'nodes' in connection ? connection.nodes('master') : [connection]
