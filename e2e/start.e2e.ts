import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { hasProgram } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, afterEach, describe, expect, it } from '@jest/globals'
import { useTestKeys } from '../scripts/test-suite.ts'
import { Collector } from './collector.ts'
import { Person } from './person.ts'
import { copyProject } from './project-copy.ts'

const original = dirname(import.meta.dirname)
/** A fresh clone with installed packages, in a folder with an awkward name. */
const root = copyProject(original)
afterAll(() => rm(dirname(root), { recursive: true, force: true }))

/** Time to build all bundles and keys and start twenty processes, possibly while another test does the same. */
const START_TIMEOUT_MS = 120_000

/** A state folder outside the clone, with another awkward name. */
const newStateFolder = () => mkdtemp(join(tmpdir(), 'st?te #1 %41 '))

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Starts with existing keys, as after a first start. */
async function npmStartAgain(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const stateFolder = await newStateFolder()
  await useTestKeys(stateFolder)
  return npmStartIn(stateFolder, args, env)
}

/** The first start of a clone, without a state folder. */
const npmStart = (...args: string[]) => npmStartIn(join(root, '.hallpass'), args)

/** Runs `npm start` in the given state folder, as a process group leader, like in a terminal. */
async function npmStartIn(stateFolder: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const launcher = spawn(process.execPath, ['scripts/start.js', '--free-ports', ...args], {
    cwd: root,
    detached: true,
    env: { ...process.env, STATE_FOLDER: stateFolder, ...env },
  })
  const seen = { output: '' }
  for (const stream of [launcher.stdout, launcher.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      seen.output += text
    })
  const ended = new Promise<number | null>((resolve) => launcher.on('close', resolve))
  cleanUps.push(async () => {
    if (launcher.exitCode === null && launcher.signalCode === null) {
      killGroup(launcher, 'SIGKILL')
      await ended
    }
    // A folder inside the copy is removed with it.
    if (!stateFolder.startsWith(root)) await rm(stateFolder, { recursive: true, force: true })
  })
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const match = pattern.exec(seen.output)
      if (match) return match
      if (launcher.exitCode !== null)
        throw new Error(`npm start ended with ${launcher.exitCode}:\n${seen.output}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  /** Returns the URL of a service's first listener from the printed table. */
  const url = async (service: string) => (await until(new RegExp(` {2}${service} +(http\\S+)`)))[1] as string
  return { launcher, seen, ended, until, url, stateFolder }
}

const killGroup = (launcher: ChildProcess, signal: NodeJS.Signals) =>
  process.kill(-(launcher.pid as number), signal)

const isGroupAlive = (launcher: ChildProcess) => {
  try {
    process.kill(-(launcher.pid as number), 0)
    return true
  } catch {
    return false
  }
}

async function untilGroupIsGone(launcher: ChildProcess, milliseconds: number) {
  const deadline = Date.now() + milliseconds
  while (isGroupAlive(launcher) && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  expect(isGroupAlive(launcher)).toBe(false)
}

describe('npm start', () => {
  it(
    'prints all URLs and working commands, and stops all services on Ctrl-C',
    async () => {
      const before = await readdir(root)
      const started = await npmStart()
      const { launcher, seen, ended, until } = started
      await until(/Everything is ready after [\d.]+ s/)
      expect(seen.output).toMatch(/ {2}jwt-factory +http:\/\/localhost:\d+ +ready/)
      const [, scenario] = await until(/curl (http:\S+\/scenario1)\n/)
      expect(await (await fetch(scenario as string)).json()).toMatchObject({ valid: true })
      await until(/service-a +GET \/scenario1 200/)
      await useEverything(started)
      killGroup(launcher, 'SIGINT')
      const stopped = Date.now()
      expect(await ended).toBe(0)
      expect(Date.now() - stopped).toBeLessThan(5_000)
      await untilGroupIsGone(launcher, 1_000)
      await expect(fetch(scenario as string)).rejects.toThrow('fetch failed')
      expect((await readdir(root)).filter((name) => name !== '.hallpass')).toEqual(before)
      expect(seen.output).not.toContain('eyJ')
    },
    START_TIMEOUT_MS,
  )

  it(
    'works again with another token library, a collector and Redis, and leaves nothing running when killed',
    async () => {
      const collector = new Collector()
      const hasRedis = hasProgram('redis-server', 'apt-get install redis-server')
      const redis = hasRedis ? await RedisServer.start() : undefined
      cleanUps.push(
        () => collector.stop(),
        () => redis?.remove(),
      )
      const started = await npmStartAgain(['--quiet'], {
        TOKEN_LIBRARY: 'jose',
        OTEL_EXPORTER_OTLP_ENDPOINT: await collector.start(),
        ...(redis && { REDIS_URL: redis.url }),
      })
      await started.until(/Everything is ready/)
      await useEverything(started)
      await collector.until((spans) => {
        const services = new Set(spans.map(({ service }) => service))
        return ['web-ui', 'identity-provider', 'service-a', 'token-cache-auth'].every((name) =>
          services.has(name),
        )
      })
      if (redis)
        expect(await redis.keys()).toEqual(
          expect.arrayContaining([expect.stringMatching(/^hallpass:tokens:entry:/)]),
        )
      started.launcher.kill('SIGKILL')
      await untilGroupIsGone(started.launcher, 5_000)
      const { stdout } = await promisify(execFile)(process.execPath, ['scripts/clean.js'], {
        cwd: root,
        env: { ...process.env, STATE_FOLDER: started.stateFolder },
      })
      expect(stdout).not.toContain('not created by the suite')
      await expect(readdir(started.stateFolder)).rejects.toMatchObject({ code: 'ENOENT' })
    },
    START_TIMEOUT_MS,
  )

  it('has help, and rejects an unknown option', async () => {
    const help = await npmStart('--help')
    expect(await help.ended).toBe(0)
    expect(help.seen.output).toContain('npm start -- --quiet')
    const wrong = await npmStart('--qiet')
    expect(await wrong.ended).toBe(2)
    expect(wrong.seen.output).toContain("Unknown option '--qiet'")
  })
})

type Started = Awaited<ReturnType<typeof npmStartIn>>

/** Uses a started suite: logs in, opens each page, runs each scenario, shows an identity. */
async function useEverything({ url, stateFolder, seen }: Started): Promise<void> {
  await new Person(await url('web-ui')).logInAndOut('ada', 'Ada Okafor')
  for (const page of ['explorer', 'keys', 'streams', 'token-cache', 'identities', 'numbers'])
    expect([page, (await fetch(`${await url('web-ui')}/${page}`)).status]).toEqual([page, 200])
  const serviceA = await url('service-a')
  for (const number of [1, 2, 3, 4, 5]) {
    const text = await (await fetch(`${serviceA}/scenario${number}`)).text()
    expect([number, text]).toEqual([number, expect.stringContaining('"valid":true')])
    expect([number, text]).toEqual([number, expect.not.stringContaining('"valid":false')])
  }
  const headers = { 'remote-user': 'known-user' }
  const cached = await fetch(await url('token-cache-load-balancer'), { headers })
  expect([cached.status, await cached.text()]).toEqual([200, expect.stringContaining('known-user')])
  const hallpass = async (...args: string[]) => {
    const env = { ...process.env, STATE_FOLDER: stateFolder }
    return (await promisify(execFile)(join(root, 'node_modules/.bin/hallpass'), args, { env })).stdout
  }
  expect(await hallpass('spiffe', 'show', '--as', 'client')).toMatch(/^spiffe:\/\/example\.org\/client /)
  expect(await hallpass('doctor')).toMatch(/state files are readable and valid/)
  expect(seen.output).not.toMatch(/Warning|^\s+at /m)
}
