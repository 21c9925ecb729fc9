import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@hallpass/free-ports'
import { Redis } from 'ioredis'

/** A test's own Redis server without persistence. */
export interface TestRedis {
  readonly url: string
  readonly port: number
  /** Kills the server as a crash would; `start` restarts it, empty. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

export async function startRedis(args: readonly string[] = []): Promise<TestRedis> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'redis-'))
  let server: ChildProcess | undefined

  async function start() {
    server = spawn(
      'redis-server',
      [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--appendonly',
        'no',
        '--dir',
        folder,
        ...args,
      ],
      { stdio: 'ignore' },
    )
    const probe = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => 20 })
    probe.on('error', () => {})
    try {
      for (let tries = 0; ; tries += 1) {
        if (
          await probe.ping().then(
            () => true,
            () => false,
          )
        )
          return
        if (tries > 200) throw new Error('redis-server does not answer')
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    } finally {
      probe.disconnect()
    }
  }

  async function kill() {
    const ending = server
    server = undefined
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
    const ended = new Promise((resolve) => ending.once('exit', resolve))
    ending.kill('SIGKILL')
    await ended
  }

  await start()
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill,
    start,
    async stop() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
