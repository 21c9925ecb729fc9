import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@hallpass/free-ports'
import { until } from './until.ts'

/** A master and its replica behind Sentinels. */
export interface RedisTier {
  /** The URL that clients use. */
  readonly url: string
  readonly master: number
  readonly replica: number
}

/** Runs a command with redis-cli and returns what it prints. */
export const cli = (port: number, ...args: string[]) =>
  execFileSync('redis-cli', ['-p', String(port), ...args]).toString()

/** A test's own servers of one topology: real processes that end with the test. */
export class RedisServers {
  readonly #running = new Map<number, ChildProcess>()
  #folder = ''

  async open() {
    this.#folder = await mkdtemp(join(tmpdir(), 'redis-peers-'))
  }

  async start(args: readonly string[] = [], config?: string): Promise<number> {
    const [port, clusterPort] = (await freePorts(2)) as [number, number]
    const file = join(this.#folder, `${port}.conf`)
    // Sentinels write their state into this file.
    await writeFile(
      file,
      `port ${port}\nbind 127.0.0.1\nsave ""\ndir ${this.#folder}\n${config ?? ''}`
        .replaceAll('CLUSTER_PORT', String(clusterPort))
        .replaceAll('PORT', String(port)),
    )
    this.#running.set(port, spawn('redis-server', [file, ...args], { stdio: 'ignore' }))
    await until(async () => {
      try {
        return execFileSync('redis-cli', ['-p', String(port), 'ping'], { stdio: 'pipe' }).includes('PONG')
      } catch {
        return false
      }
    })
    return port
  }

  /** Starts a master with one replica, and three Sentinels that replace a dead master after half a second. */
  async startTier(name: string): Promise<RedisTier> {
    const persistent =
      'appendonly yes\nappenddirname aof-PORT\ndbfilename dump-PORT.rdb\nrepl-diskless-sync-delay 0\n'
    const master = await this.start([], persistent)
    const replica = await this.start(['--replicaof', '127.0.0.1', String(master)], persistent)
    const sentinels: number[] = []
    for (let i = 0; i < 3; i += 1)
      sentinels.push(
        await this.start(
          ['--sentinel'],
          `sentinel monitor ${name} 127.0.0.1 ${master} 2\nsentinel down-after-milliseconds ${name} 500\nsentinel failover-timeout ${name} 3000\n`,
        ),
      )
    const isReady = (port: number) => {
      const state = cli(port, 'sentinel', 'master', name)
      return state.includes('num-other-sentinels\n2') && state.includes('num-slaves\n1')
    }
    await until(async () => sentinels.every(isReady), 20_000)
    const hosts = sentinels.map((port) => `127.0.0.1:${port}`).join(',')
    return { url: `redis-sentinel://${hosts}/${name}`, master, replica }
  }

  /** Stops a server without ending it, or continues it: connections stay open and nothing answers. */
  signal(port: number, signal: 'SIGSTOP' | 'SIGCONT') {
    this.#running.get(port)?.kill(signal)
  }

  async kill(port: number) {
    const server = this.#running.get(port) as ChildProcess
    this.#running.delete(port)
    if (server.exitCode !== null) return
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGKILL')
    await ended
  }

  async close() {
    for (const port of [...this.#running.keys()]) await this.kill(port)
    await rm(this.#folder, { recursive: true, force: true })
  }
}
