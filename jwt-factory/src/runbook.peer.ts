import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '@hallpass/free-ports'
import { quoted } from '@hallpass/private-files'
import { describeWith } from '@hallpass/service-kit/testing'
import { parseCompact } from '@hallpass/tokens'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { bundle, bundleFolder } from '../../scripts/bundle.js'
import { call } from './testing/factory-process.ts'

const root = join(import.meta.dirname, '../..')
const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')
const runbook = /\n## Runbook\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? ''
/** The blocks of each section. */
const sections = new Map(
  runbook
    .split(/^### /m)
    .slice(1)
    .map((section) => [
      section.split('\n', 1)[0] as string,
      [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block as string),
    ]),
)
const BLOCK_TIMEOUT_MS = 60_000

/** A shell in which blocks run one after the other, with the programs that they leave in the background. */
class Shell {
  readonly #process: ChildProcess
  #output = ''

  constructor(folder: string) {
    // A process group of its own, so that all of it can be ended.
    this.#process = spawn('bash', ['--norc'], {
      cwd: folder,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        LOG_LEVEL: 'warn',
        ALGORITHM: 'ES256',
      },
    })
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk
      })
    this.#process.stdin?.write("trap 'echo FAILED: $BASH_COMMAND' ERR\n")
  }

  /** Runs a block and returns what it prints. @throws {Error} if a command fails */
  async run(block: string): Promise<string> {
    this.#output = ''
    this.#process.stdin?.write(`${block}\necho; echo END OF BLOCK\n`)
    for (const deadline = performance.now() + BLOCK_TIMEOUT_MS; !/^END OF BLOCK$/m.test(this.#output); ) {
      if (performance.now() > deadline) throw new Error(`The block does not end:\n${this.#output}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    if (/^FAILED: /m.test(this.#output)) throw new Error(this.#output)
    return this.#output
  }

  async stop(): Promise<void> {
    const { pid } = this.#process
    const ended = once(this.#process, 'exit')
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    await ended
  }
}

describeWith('redis-server', 'apt-get install redis-server')('the runbook', () => {
  let folder = ''
  let shell: Shell
  let portOf: (documented: number) => number
  const url = (documented: number) => `http://localhost:${portOf(documented)}`
  const done = new Set<string>()

  beforeAll(async () => {
    await bundle(root)
    folder = await mkdtemp(join(tmpdir(), 'runbook-'))
    const documented = [
      ...new Set([...runbook.matchAll(/\b(5555|555\d|556\d|6379|638\d)\b/g)].map(([port]) => Number(port))),
    ]
    const free = await freePorts(documented.length)
    portOf = (port) => free[documented.indexOf(port)] as number
    shell = new Shell(folder)
    await shell.run(
      `redis-server --port ${portOf(6379)} --save '' --appendonly yes --dir ${quoted(folder)} --daemonize yes`,
    )
  }, 60_000)
  afterAll(async () => {
    for (const port of [6379, 6380, 6381])
      await shell.run(`redis-cli -p ${portOf(port)} shutdown nosave || true`).catch(() => {})
    await shell.stop()
    await rm(folder, { recursive: true, force: true })
  }, 30_000)

  /** Runs a block of a section with the programs and ports of this test. */
  function run(name: string, block = 0): Promise<string> {
    const text = sections.get(name)?.[block]
    if (text === undefined) throw new Error(`The README has no block ${block} in: ${name}`)
    done.add(`${name} ${block}`)
    const program = (service: string) => `node ${quoted(join(bundleFolder(root), `${service}.cjs`))}`
    return shell.run(
      text
        .replaceAll('npm run jwt-factory', program('jwt-factory'))
        .replaceAll('npm start -w token-cache/load-balancer', program('token-cache-load-balancer'))
        .replace(/\b(5555|555\d|556\d|6379|638\d)\b/g, (port) => String(portOf(Number(port)))),
    )
  }
  const issue = async (port: number) =>
    (await call(`${url(port)}/issueToken/servicea`, 'POST', { aud: 'serviceb' }))?.text ?? ''
  const verify = async (port: number, token: string) =>
    (await call(`${url(port)}/verify/servicea`, 'POST', { token, aud: 'serviceb', sub: 'servicea' }))?.status
  let token = ''

  it('runs three replicas behind a balancer', async () => {
    await run('Run three replicas')
    await call(`${url(5555)}/keys/servicea`, 'GET')
    token = await issue(5555)
    for (const port of [5556, 5557, 5558]) expect(await verify(port, token)).toBe(200)
  }, 90_000)

  it('rotates once, however often the command is repeated', async () => {
    expect((await run('Rotate by hand')).match(/^\d+$/gm)).toEqual(['200', '412'])
    const rotated = await issue(5555)
    expect(parseCompact(rotated).header.kid).not.toBe(parseCompact(token).header.kid)
    expect(await verify(5556, token)).toBe(200)
  }, 90_000)

  it('restores Redis, and the old tokens are valid and the revoked ones are not', async () => {
    const revoked = await issue(5555)
    await fetch(`${url(5555)}/revoke`, { method: 'POST', body: new URLSearchParams({ token: revoked }) })
    await run('Back up and restore', 0)
    await run('Back up and restore', 1)
    expect(await verify(5560, token)).toBe(200)
    expect(await verify(5560, await issue(5555))).toBe(200)
    expect(await verify(5560, revoked)).toBe(403)
  }, 90_000)

  it('restores an embedded store', async () => {
    await run('Back up and restore', 2)
    expect(await verify(5562, await readFile(join(folder, 'one.token'), 'utf8'))).toBe(200)
  }, 90_000)

  it('withdraws a stolen key, or all keys', async () => {
    const stolen = await issue(5555)
    expect(await run('A key was stolen', 0)).toMatch(/"state":"withdrawn"?/)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    for (const port of [5556, 5557, 5558]) expect(await verify(port, stolen)).toBe(403)
    const next = await issue(5555)
    expect(await verify(5557, next)).toBe(200)
    await run('A key was stolen', 1)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    for (const port of [5556, 5557, 5558]) expect(await verify(port, next)).toBe(403)
    expect(await verify(5557, await issue(5555))).toBe(200)
  }, 90_000)

  it('moves the issuer: tokens of the old place are valid at the new one', async () => {
    await run('Move the issuer')
    const old = await readFile(join(folder, 'one.token'), 'utf8')
    expect(await verify(5563, old)).toBe(200)
    expect(parseCompact(await issue(5563)).payload.iss).toBe(parseCompact(old).payload.iss)
  }, 90_000)

  it('restarts one replica after the other, and no request fails', async () => {
    const statuses = new Map<number | undefined, number>()
    let isRunning = true
    const load = (async () => {
      while (isRunning) {
        const status = await verify(5555, await issue(5555))
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
      }
    })()
    await run('Upgrade without downtime')
    isRunning = false
    await load
    expect([...statuses.keys()]).toEqual([200])
    expect(statuses.get(200)).toBeGreaterThan(20)
  }, 120_000)

  it('has no block that was not run', () => {
    const all = [...sections].flatMap(([name, blocks]) => blocks.map((_, index) => `${name} ${index}`))
    expect([...done].toSorted()).toEqual(all.toSorted())
  })
})
