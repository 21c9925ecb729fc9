import http from 'node:http'
import { describeWith } from '@hallpass/service-kit/testing'
import { startRedis, type TestRedis } from '@hallpass/token-store/testing'
import { afterEach, describe, expect, it } from '@jest/globals'
import { startTier, type TestTier, type TierOptions, until } from '../testing/tier.ts'

let tier: TestTier
let redis: TestRedis | undefined
afterEach(async () => {
  await tier.stop()
  await redis?.stop()
  redis = undefined
})
const start = async (options?: TierOptions) => {
  tier = await startTier(options)
}

const KEYVALS = '/api/8/http/keyvals/tokens'
const WITHIN_A_SECOND = 1_000
/** Enough free disk space. */
const ROOM = 2 ** 30

const keys = async (proxy = 0) =>
  Object.keys((await (await tier.operate(proxy, KEYVALS)).json()) as Record<string, string>)
const patch = (key: string, value: '0' | null = '0', proxy = 0) =>
  tier.operate(proxy, `${KEYVALS}/`, { method: 'PATCH', body: JSON.stringify({ [key]: value }) })
const post = (key: string, proxy = 0) =>
  tier.operate(proxy, KEYVALS, { method: 'POST', body: JSON.stringify({ [key]: '0' }) })
const statusOf = async (proxy: number, user: string, agent?: string) =>
  (await tier.get(proxy, user, agent === undefined ? {} : { agent })).status
const errorOf = async (answer: Promise<Response>) => {
  const response = await answer
  const { error } = (await response.json()) as { error: { code: string; text?: string; message?: string } }
  return [response.status, error.code, error.text ?? error.message]
}
const readiness = async (proxy: number) => {
  const response = await tier.operate(proxy, '/readyz')
  return [response.status, ((await response.json()) as { failed?: object }).failed]
}

describe('a listed key', () => {
  it('addresses exactly the caller with its agent, for any agent and at every proxy', async () => {
    const agents: readonly (readonly [what: string, agent: string])[] = [
      ['long', 'x'.repeat(300)],
      ['longer than the maximum key of the API', `Mozilla/5.0 ${'x'.repeat(4_000)}`],
      ['long, with the same beginning as another one', `${'x'.repeat(400)}1`],
      ['empty', ''],
      ['with colons', 'a:b:c'],
      ['with percent signs', '%3A%25%'],
      ['in Latin-1', 'Gr\u00f6\u00dfe'],
      ['in UTF-8', Buffer.from('Größe 漢字', 'utf8').toString('latin1')],
      ['with a tab', 'a\tb'],
      ['that looks like a digest', `sha256=${'A'.repeat(43)}`],
      ['that looks like a digest of another length', 'sha256=abc'],
    ]
    await start()
    const seen = await Promise.all(
      agents.map(async ([what, agent], index) => {
        const user = `user${index}`
        const status = (proxy: number, longer = '') => statusOf(proxy, user, `${agent}${longer}`)
        const open = [await status(0), await status(1)]
        const key = (await keys()).find((listed) => listed.startsWith(`${user}:`)) as string
        open.push(await status(0, 'x'))
        const blocked = [(await patch(key)).status, await status(0)]
        await until(async () => (await status(1)) === 403, WITHIN_A_SECOND)
        const other = await status(0, 'x')
        const listed = (await keys()).includes(key)
        const unblocked = [(await patch(key, null)).status, await status(0)]
        return { what, open, isShort: key.length <= 300, blocked, other, listed, unblocked }
      }),
    )
    const expected = { open: [200, 200, 200], isShort: true, blocked: [204, 403], other: 200, listed: true }
    expect(seen).toEqual(agents.map(([what]) => ({ what, ...expected, unblocked: [204, 200] })))
  })

  it('has the documented form for a common agent, and a long agent can also be written in full', async () => {
    await start({ proxies: 1 })
    await tier.get(0, 'user1')
    const agent = 'x'.repeat(300)
    await tier.get(0, 'user1', { agent })
    expect((await keys()).sort()).toEqual([
      'user1:curl/7.86.0',
      expect.stringMatching(/^user1:sha256=[\w-]{43}$/),
    ])
    expect((await patch(`user1:${agent}`)).status).toBe(204)
    expect(await statusOf(0, 'user1', agent)).toBe(403)
    expect((await patch('user1:curl/7.86.0')).status).toBe(204)
    expect(await statusOf(0, 'user1')).toBe(403)
  })

  it('is rejected if no caller can have it, because blocking it would have no effect', async () => {
    await start({ proxies: 1 })
    for (const key of ['us\u00e9r', 'u'.repeat(129), 'a,b', 'user1:a\nb', ':curl', 'two words'])
      expect(await errorOf(post(key))).toEqual([
        400,
        'KeyvalFormatError',
        expect.stringContaining('no caller can have this key'),
      ])
  })
})

describe('a block of a user', () => {
  it('takes one request, applies to every agent, and is ended by another request', async () => {
    await start()
    for (const agent of ['one', 'two']) await tier.get(0, 'user1', { agent })
    expect((await post('user1')).status).toBe(201)
    for (const agent of ['one', 'two', 'x'.repeat(5_000)]) expect(await statusOf(0, 'user1', agent)).toBe(403)
    await until(async () => (await statusOf(1, 'user1', 'three')) === 403, WITHIN_A_SECOND)
    expect(await statusOf(0, 'User1')).toBe(200)
    expect((await patch('user1', null, 1)).status).toBe(204)
    await until(async () => (await statusOf(0, 'user1', 'one')) === 200, WITHIN_A_SECOND)
  })

  it('applies to a user without earlier requests', async () => {
    await start()
    expect((await post('a%3Ab')).status).toBe(201)
    expect(await statusOf(0, 'a:b')).toBe(403)
    expect(tier.issuer.calls).toEqual([])
  })

  it('applies to a request whose token is being fetched at the other proxy', async () => {
    await start()
    tier.issuer.delayMs = 150
    const waiting = tier.get(0, 'user1')
    await until(() => tier.issuer.calls.length === 1)
    expect((await post('user1', 1)).status).toBe(201)
    expect((await waiting).status).toBe(403)
    expect(tier.seen).toEqual([])
  })

  it('applies to a request that waits for a connection to the API', async () => {
    await start({ proxies: 1, env: { API_MAX_CONNECTIONS: '1' } })
    await tier.get(0, 'user1')
    let release = () => {}
    tier.answer = (_request, response) => {
      release = () => response.end('late')
    }
    const first = tier.get(0, 'user1')
    await until(() => tier.seen.length === 2)
    const second = tier.get(0, 'user1')
    await until(async () => (await tier.figures(0)).hits === 2)
    await post('user1')
    release()
    expect((await first).status).toBe(200)
    expect((await second).status).toBe(403)
    expect(tier.seen.length).toBe(2)
  })

  it('survives a restart of every proxy, and ends at its time', async () => {
    await start()
    await post('user1')
    await Promise.all([tier.restart(0), tier.restart(1)])
    expect(await statusOf(0, 'user1')).toBe(403)
    expect(await statusOf(1, 'user1', 'other')).toBe(403)
    tier.clock.advance(299_999)
    expect(await statusOf(0, 'user1')).toBe(403)
    tier.clock.advance(1)
    expect(await statusOf(0, 'user1')).toBe(200)
  })

  it('is shown with the user’s agents and the number of proxies that know it', async () => {
    await start()
    await tier.get(0, 'user1', { agent: 'one' })
    const shown = async () => (await tier.operate(0, '/status/users/user1')).json()
    expect(await shown()).toMatchObject({
      user: 'user1',
      blocked: false,
      tokens: { 'user1:one': expect.any(String) },
    })
    await post('user1')
    expect(await shown()).toMatchObject({ blocked: true })
    const known = async () => {
      const { peers } = (await (await tier.operate(0, '/status')).json()) as {
        peers: { blocks: { count: number; fingerprint: string } }[]
      }
      return peers.map(({ blocks }) => `${blocks.count} ${blocks.fingerprint}`)
    }
    await until(
      async () => new Set(await known()).size === 1 && (await known())[0]?.startsWith('1 ') === true,
    )
    expect(await errorOf(tier.operate(0, '/status/users/two%20words'))).toEqual([
      400,
      'malformed_user',
      'A user has 1 to 128 visible ASCII characters.',
    ])
  })
})

it('rejects a repeated remote-user field', async () => {
  await start({ proxies: 1 })
  const { hostname, port } = new URL(tier.proxies[0]?.url as string)
  const secret = (await import('node:fs'))
    .readFileSync(`${tier.folder}/token-cache/tier-secret`, 'utf8')
    .trim()
  const status = await new Promise((resolve, reject) =>
    http
      .get(
        { hostname, port, headers: { 'remote-user': ['user1', 'user2'], 'x-hallpass-tier': secret } },
        (answer) => resolve(answer.resume().statusCode),
      )
      .on('error', reject),
  )
  expect(status).toBe(400)
})

describe('a full disk under the embedded store', () => {
  it('stops new tokens with the reason; known ones are still used, and it recovers automatically', async () => {
    let free = ROOM
    await start({ freeBytes: () => free })
    expect(await statusOf(0, 'known')).toBe(200)
    free = 100 * 1024
    expect(await errorOf(tier.get(0, 'new', { headers: { accept: 'application/json' } }))).toEqual([
      503,
      'store_full',
      'The shared store is full, so no new tokens are issued.',
    ])
    expect(await statusOf(0, 'known')).toBe(200)
    expect(await readiness(0)).toEqual([
      503,
      { store: expect.stringMatching(/^The shared store is full \(the disk of .* has 100 KB left\)\.$/) },
    ])
    const metrics = await (await tier.operate(0, '/metrics')).text()
    expect(metrics).toMatch(/^token_cache_store_full\{.*\} 1$/m)
    expect(tier.lines.filter((line) => line.includes('the store is full')).length).toBeLessThanOrEqual(2)
    free = ROOM
    await until(async () => (await readiness(0))[0] === 200)
    expect(await statusOf(0, 'new')).toBe(200)
    expect(tier.lines.join()).toContain('the store has room again')
  })

  it('has room for blocks even if it has none for tokens', async () => {
    let free = ROOM
    await start({ freeBytes: () => free })
    await tier.get(0, 'user1')
    await tier.get(1, 'user1')
    free = 100 * 1024
    expect((await post('user1')).status).toBe(201)
    await until(async () => (await statusOf(1, 'user1')) === 403, WITHIN_A_SECOND)
  })

  it('fails closed if not even a block can be stored: it applies at one proxy, the response reports this, and it is stored later', async () => {
    let free = ROOM
    await start({ freeBytes: () => free })
    await tier.get(0, 'user1')
    await tier.get(1, 'user1')
    free = 0
    for (const block of [() => patch('user1:curl/7.86.0'), () => post('user2')])
      expect(await errorOf(block())).toEqual([
        503,
        'BlockNotShared',
        expect.stringMatching(
          /applies only at this proxy: The shared store is full .* repeat it at every other proxy/,
        ),
      ])
    expect(await statusOf(0, 'user1')).toBe(403)
    expect(await statusOf(0, 'user2')).toBe(403)
    expect(await readiness(0)).toEqual([
      503,
      {
        store: expect.stringContaining('0 KB left'),
        blocks: '2 blocks apply only at this proxy: the store did not accept them',
      },
    ])
    free = ROOM
    await until(async () => (await statusOf(1, 'user1')) === 403 && (await statusOf(1, 'user2')) === 403)
    await until(async () => (await readiness(0))[0] === 200)
  })
})

describeWith('redis-server', 'apt-get install redis-server')('blocks in Redis', () => {
  const startOnRedis = async (args: string[], options: TierOptions = {}) => {
    redis = await startRedis(args)
    await start({ ...options, env: { REDIS_URL: redis.url } })
  }
  const command = async (...args: [string, ...string[]]) => {
    const { Redis } = await import('ioredis')
    const client = new Redis(redis?.url as string)
    try {
      return await client.call(...args)
    } finally {
      client.disconnect()
    }
  }

  /** Writes entries of other programs, with an expiry. */
  const fill = async (count: number, bytes: number) => {
    const { Redis } = await import('ioredis')
    const client = new Redis(redis?.url as string)
    try {
      for (let index = 0; index < count; ) {
        const batch = client.pipeline()
        for (const end = index + 500; index < end; index += 1)
          batch.set(`filler${index}`, 'x'.repeat(bytes), 'EX', 3600)
        for (const [error] of (await batch.exec()) ?? []) expect(error).toBeNull()
      }
    } finally {
      client.disconnect()
    }
  }

  it('are never evicted in favor of tokens, and the cache works while the memory is full', async () => {
    await startOnRedis(['--maxmemory', '8mb', '--maxmemory-policy', 'volatile-lru'], { proxies: 1 })
    expect((await post('blocked')).status).toBe(201)
    await fill(10_000, 1_500)
    expect(String(await command('INFO', 'stats'))).toMatch(/evicted_keys:[1-9]/)
    await tier.restart(0)
    expect(await statusOf(0, 'blocked')).toBe(403)
    expect(await statusOf(0, 'another')).toBe(200)
    expect((await post('blocked-later')).status).toBe(201)
  }, 30_000)

  it('are written back after FLUSHALL, and no blocked user is served meanwhile, not even by a new proxy', async () => {
    await startOnRedis([])
    await tier.get(0, 'kept')
    await tier.get(1, 'kept')
    await post('blocked')
    await until(async () => (await statusOf(1, 'blocked')) === 403, WITHIN_A_SECOND)
    await command('FLUSHALL')
    const restarted = tier.restart(1)
    for (let i = 0; i < 20; i += 1) expect(await statusOf(0, 'blocked')).toBe(403)
    await restarted
    for (let i = 0; i < 20; i += 1) expect(await statusOf(1, 'blocked', `agent${i}`)).toBe(403)
    await until(async () => Number(await command('HLEN', '{hallpass:blocks}:pinned')) === 1)
    expect(await statusOf(0, 'kept')).toBe(200)
    expect(tier.issuer.calls).toEqual(['kept'])
    expect((await patch('blocked', null)).status).toBe(204)
    await until(async () => (await statusOf(1, 'blocked')) === 200, WITHIN_A_SECOND)
  }, 30_000)

  it('are written back when Redis restarts empty, without undoing an unblock', async () => {
    await startOnRedis([])
    await post('blocked')
    await post('pardoned')
    await until(async () => (await statusOf(1, 'pardoned')) === 403, WITHIN_A_SECOND)
    await patch('pardoned', null)
    await until(async () => (await statusOf(1, 'pardoned')) === 200, WITHIN_A_SECOND)
    await redis?.kill()
    expect(await statusOf(1, 'blocked')).toBe(403)
    await redis?.start()
    await until(async () => Number(await command('HLEN', '{hallpass:blocks}:pinned')) === 2)
    await until(async () => (await statusOf(0, 'pardoned')) === 200)
    expect(await statusOf(0, 'blocked')).toBe(403)
    expect(await statusOf(1, 'blocked')).toBe(403)
  }, 30_000)

  it('are shown while Redis is unavailable, without tokens', async () => {
    await startOnRedis([], { proxies: 1 })
    await post('blocked')
    await redis?.kill()
    const shown = async (user: string) => {
      const response = await tier.operate(0, `/status/users/${user}`)
      return [response.status, await response.json()]
    }
    expect(await shown('blocked')).toEqual([
      200,
      { user: 'blocked', key: 'blocked', blocked: true, tokens: null, tokensPerUser: 32 },
    ])
    expect(await shown('another')).toMatchObject([200, { blocked: false, tokens: null }])
    await tier.restart(0)
    expect(await errorOf(tier.operate(0, '/status/users/blocked'))).toEqual([
      503,
      'store_unavailable',
      'The shared store is unavailable and has been since this proxy started.',
    ])
    expect(
      tier.lines.filter((line) => line.includes('"level":"error"') || line.includes('"level":50')),
    ).toEqual([])
  }, 30_000)

  it('apply at one proxy while Redis is unavailable, and everywhere once it recovers', async () => {
    await startOnRedis([])
    await tier.get(0, 'user1')
    await tier.get(1, 'user1')
    await redis?.kill()
    expect(await errorOf(patch('user1:curl/7.86.0'))).toEqual([
      503,
      'BlockNotShared',
      expect.stringContaining('applies only at this proxy'),
    ])
    expect(await statusOf(0, 'user1')).toBe(403)
    await redis?.start()
    await until(async () => (await statusOf(1, 'user1')) === 403, 5_000)
  }, 30_000)

  it('fail closed if the memory is full and nothing can be evicted', async () => {
    await startOnRedis(['--maxmemory-policy', 'noeviction'], { proxies: 1 })
    await tier.get(0, 'user1')
    await command('CONFIG', 'SET', 'maxmemory', '1')
    expect((await errorOf(post('user1')))[1]).toBe('BlockNotShared')
    expect(await statusOf(0, 'user1')).toBe(403)
    expect(
      (await errorOf(tier.get(0, 'new', { headers: { accept: 'application/json' } }))).slice(0, 2),
    ).toEqual([503, 'store_full'])
    expect((await readiness(0))[0]).toBe(503)
    await command('CONFIG', 'SET', 'maxmemory', '0')
    await until(async () => (await readiness(0))[0] === 200)
    expect(await statusOf(0, 'new')).toBe(200)
    expect(await statusOf(0, 'user1')).toBe(403)
  }, 30_000)

  it('make the proxy not ready if Redis could evict them, and report the policy', async () => {
    await startOnRedis(['--maxmemory', '10mb', '--maxmemory-policy', 'allkeys-lru'], { proxies: 1 })
    expect(await readiness(0)).toEqual([
      503,
      {
        store:
          'Redis may evict entries that must not be lost, e.g. keys, revocations or blocks (maxmemory-policy allkeys-lru). Set maxmemory-policy to volatile-lru.',
      },
    ])
    expect(tier.lines.join()).toContain(
      'Redis may evict keys, revocations or blocks (maxmemory-policy allkeys-lru)',
    )
  })
})
