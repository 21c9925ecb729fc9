import { execFileSync } from 'node:child_process'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { cli, RedisServers } from '../testing/redis-servers.ts'
import { storeContract } from '../testing/store-contract.ts'
import { until } from '../testing/until.ts'
import { RedisStore } from './store.ts'

const entry = (value: string) => ({ value, endsAt: Date.now() + 60_000 })

async function untilWritten(store: RedisStore, key: string, withinMs: number): Promise<number> {
  const started = Date.now()
  for (;;) {
    const zone = store.zone('tokens')
    const done = await zone
      .overrule(key, entry('after'))
      .then(() => zone.isWatching())
      .catch(() => false)
    if (done) return Date.now() - started
    if (Date.now() - started > withinMs) throw new Error(`The store did not recover within ${withinMs} ms.`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describeWith('redis-server', 'apt-get install redis-server')('RedisStore behind Sentinel', () => {
  const servers = new RedisServers()
  let url: string
  let master: number
  const stores: RedisStore[] = []
  beforeAll(async () => {
    await servers.open()
    ;({ url, master } = await servers.startTier('tier'))
  }, 30_000)
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()))
    await servers.close()
  })

  describe('without failures', () => {
    storeContract(async () => ({
      location: url,
      open: (clock) => new RedisStore({ url, ...(clock ? { clock: clock.now } : {}) }),
      end: async () => {},
    }))
  })

  it('fails while there is no master, and continues with the next one', async () => {
    const store = new RedisStore({ url })
    await store.open()
    const zone = store.zone('tokens')
    await until(async () => zone.isWatching())
    const heard: unknown[] = []
    zone.watch((change) => heard.push(change))
    await zone.replace('before', undefined, entry('v'))
    await servers.kill(master)
    await until(async () => !zone.isWatching())
    await expect(zone.get('before')).rejects.toThrow('The shared store is not available')
    const ms = await untilWritten(store, 'after', 20_000)
    console.log(`a new master after ${ms} ms`)
    expect((await zone.get('after'))?.value).toBe('after')
    // Changes may have been missed: every copy must be read again.
    // A replica that did not get the last writes of its master has lost them.
    expect(heard.some((change) => change === 'missed' || change === 'emptied')).toBe(true)
    await store.close()
  }, 40_000)

  it('detects by compare and set that a failover has lost the last write', async () => {
    // A tier of its own: the other test has killed its master.
    const first = await servers.start()
    const replica = await servers.start(['--replicaof', '127.0.0.1', String(first)])
    const sentinel = await servers.start(
      ['--sentinel'],
      `sentinel monitor losing 127.0.0.1 ${first} 1\nsentinel down-after-milliseconds losing 500\nsentinel failover-timeout losing 3000\n`,
    )
    await until(async () => cli(sentinel, 'sentinel', 'master', 'losing').includes('num-slaves\n1'), 20_000)
    const store = new RedisStore({ url: `redis-sentinel://127.0.0.1:${sentinel}/losing` })
    stores.push(store)
    await store.open()
    const zone = store.zone('keys', { pinned: true })
    const heard: unknown[] = []
    zone.watch((change) => heard.push(change))
    await zone.overrule('ring', entry('first'))
    await until(async () => zone.isWatching())
    const info = () => cli(first, 'info', 'replication')
    await until(async () => {
      const [, written] = /master_repl_offset:(\d+)/.exec(info()) ?? []
      return written !== undefined && info().includes(`offset=${written},`)
    }, 20_000)
    // From now on the replica gets nothing: it has no password. Connections that exist need none.
    cli(first, 'config', 'set', 'requirepass', 'secret')
    cli(first, '-a', 'secret', 'client', 'kill', 'type', 'replica')
    await zone.replace('ring', await zone.get('ring'), entry('second'))
    const lost = await zone.get('ring')
    expect(lost?.value).toBe('second')
    heard.length = 0
    await servers.kill(first)
    await until(() => zone.get('ring').catch(() => undefined), 20_000)
    expect((await zone.get('ring'))?.value).toBe('first')
    await until(async () => cli(replica, 'info', 'replication').includes('role:master'), 20_000)
    expect(await zone.replace('ring', lost, entry('third'))).toBe(false)
    expect(await zone.replace('ring', await zone.get('ring'), entry('second again'))).toBe(true)
    await until(async () => heard.includes('missed') || heard.includes('emptied'))
  }, 60_000)
})

describeWith('redis-server', 'apt-get install redis-server')('RedisStore on a cluster', () => {
  const servers = new RedisServers()
  let url: string
  let ports: number[]
  const stores: RedisStore[] = []
  beforeAll(async () => {
    await servers.open()
    ports = []
    for (let i = 0; i < 6; i += 1) {
      // Without `cluster-port` the nodes talk to each other on their port plus 10,000, which another program may have.
      const port = await servers.start(
        [],
        'cluster-enabled yes\ncluster-port CLUSTER_PORT\ncluster-node-timeout 2000\ncluster-replica-validity-factor 0\nrepl-diskless-sync-delay 0\ncluster-config-file nodes-PORT.conf\n',
      )
      ports.push(port)
    }
    const nodes = ports.map((port) => `127.0.0.1:${port}`)
    execFileSync('redis-cli', ['--cluster', 'create', ...nodes, '--cluster-replicas', '1', '--cluster-yes'], {
      stdio: 'pipe',
    })
    await until(
      async () => ports.every((port) => cli(port, 'cluster', 'info').includes('cluster_state:ok')),
      20_000,
    )
    url = `redis-cluster://${nodes.slice(0, 3).join(',')}`
  }, 60_000)
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()))
    await servers.close()
  })

  describe('without failures', () => {
    storeContract(async () => ({
      location: url,
      open: (clock) => new RedisStore({ url, ...(clock ? { clock: clock.now } : {}) }),
      end: async () => {},
    }))
  })

  it('continues when a replica has replaced a failed master', async () => {
    const store = new RedisStore({ url })
    await store.open()
    const zone = store.zone('tokens')
    await until(async () => zone.isWatching())
    await Promise.all(Array.from({ length: 60 }, (_, i) => zone.replace(`k${i}`, undefined, entry('v'))))
    // A master answers before its replica has the write; this test is not about such losses. WAIT does not help: it
    // waits for the writes of its own connection, and this one has made none.
    await until(async () => {
      const info = cli(ports[0] as number, 'info', 'replication')
      const [, written] = /master_repl_offset:(\d+)/.exec(info) ?? []
      const [, heard] = /slave0:.*offset=(\d+)/.exec(info) ?? []
      return heard !== undefined && heard === written
    }, 20_000)
    await servers.kill(ports[0] as number)
    const deadline = Date.now() + 20_000
    const allKnown = async () => {
      const found = await Promise.all(Array.from({ length: 60 }, (_, i) => zone.get(`k${i}`))).catch(() => [])
      return found.length === 60 && found.every(Boolean)
    }
    while (!(await allKnown())) {
      if (Date.now() > deadline) throw new Error('The cluster did not recover.')
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await untilWritten(store, 'k1', 10_000)
    await store.close()
  }, 60_000)

  it('leaves no timer behind when it is closed while it asks for the slots', async () => {
    const port = await servers.start(
      [],
      'cluster-enabled yes\ncluster-port CLUSTER_PORT\ncluster-announce-ip 127.0.0.1\ncluster-config-file nodes-PORT.conf\n',
    )
    cli(port, 'cluster', 'addslotsrange', '0', '16383')
    await until(async () => cli(port, 'cluster', 'info').includes('cluster_state:ok'), 20_000)
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    const store = new RedisStore({ url: `redis-cluster://127.0.0.1:${port}` })
    await store.open()
    await store.zone('tokens').get('k')
    // Longer than the interval of a second after which it asks, shorter than the second that it waits for the answer.
    servers.signal(port, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    await store.close()
    servers.signal(port, 'SIGCONT')
    await until(async () => timers() <= before, 5_000)
  }, 60_000)

  it('opens and says that a cluster is not ready whose nodes announce no address', async () => {
    const port = await servers.start(
      [],
      'cluster-enabled yes\ncluster-port CLUSTER_PORT\ncluster-config-file nodes-PORT.conf\n',
    )
    cli(port, 'cluster', 'addslotsrange', '0', '16383')
    await until(async () => cli(port, 'cluster', 'info').includes('cluster_state:ok'), 20_000)
    const store = new RedisStore({ url: `redis-cluster://127.0.0.1:${port}` })
    stores.push(store)
    await store.open()
    await expect(store.check()).rejects.toThrow(
      "The shared store is not available (Cluster isn't ready and enableOfflineQueue options is false).",
    )
  }, 20_000)
})
