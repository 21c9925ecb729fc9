import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { useKeptKeys } from '../scripts/test-suite.ts'

const root = dirname(import.meta.dirname)

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** A start that is not the first one: it finds keys. */
async function npmStartAgain(...args: string[]) {
  const stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-start-'))
  await useKeptKeys(root, stateFolder)
  return npmStartIn(stateFolder, args)
}

async function npmStart(...args: string[]) {
  return npmStartIn(await mkdtemp(join(tmpdir(), 'hallpass-start-')), args)
}

/** `npm start` in a state folder of its own, as the leader of its process group, like in a terminal. */
async function npmStartIn(stateFolder: string, args: readonly string[]) {
  const launcher = spawn(process.execPath, ['scripts/start.js', '--free-ports', ...args], {
    cwd: root,
    detached: true,
    env: { ...process.env, STATE_FOLDER: stateFolder },
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
    await rm(stateFolder, { recursive: true, force: true })
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
  return { launcher, seen, ended, until }
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
  it('shows what runs where, with commands that work, and on Ctrl-C stops all of it', async () => {
    const before = await readdir(root)
    const { launcher, seen, ended, until } = await npmStart()
    await until(/Everything is ready after [\d.]+ s/)
    expect(seen.output).toMatch(/ {2}jwt-factory +http:\/\/localhost:\d+ +ready/)
    const [, scenario] = await until(/curl (http:\S+\/scenario1)\n/)
    expect(await (await fetch(scenario as string)).json()).toMatchObject({ valid: true })
    await until(/service-a +GET \/scenario1 200/)
    killGroup(launcher, 'SIGINT')
    const stopped = Date.now()
    expect(await ended).toBe(0)
    expect(Date.now() - stopped).toBeLessThan(5_000)
    await untilGroupIsGone(launcher, 1_000)
    await expect(fetch(scenario as string)).rejects.toThrow('fetch failed')
    expect(await readdir(root)).toEqual(before)
    expect(seen.output).not.toContain('eyJ')
  }, 40_000)

  it('names a service that dies, stops the rest and fails', async () => {
    const { launcher, seen, ended, until } = await npmStartAgain('--quiet')
    await until(/Everything is ready/)
    const victim = (await childrenOf(launcher.pid as number)).find(({ command }) =>
      command.includes('service-c'),
    )
    process.kill(victim?.pid as number, 'SIGKILL')
    expect(await ended).toBe(1)
    expect(seen.output).toContain('service-c was ended by SIGKILL')
    await untilGroupIsGone(launcher, 1_000)
  }, 40_000)

  it('leaves no service behind when the launcher itself is killed', async () => {
    const { launcher, until } = await npmStartAgain('--quiet')
    await until(/Everything is ready/)
    launcher.kill('SIGKILL')
    await untilGroupIsGone(launcher, 5_000)
  }, 40_000)

  it('explains itself, and refuses a flag that it does not know', async () => {
    const help = await npmStart('--help')
    expect(await help.ended).toBe(0)
    expect(help.seen.output).toContain('npm start -- --quiet')
    const wrong = await npmStart('--qiet')
    expect(await wrong.ended).toBe(2)
    expect(wrong.seen.output).toContain("Unknown option '--qiet'")
  })
})

async function childrenOf(pid: number): Promise<{ pid: number; command: string }[]> {
  const ps = spawn('ps', ['-A', '-o', 'pid=,ppid=,args='])
  let output = ''
  for await (const chunk of ps.stdout.setEncoding('utf8')) output += chunk
  return output
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, parent]) => Number(parent) === pid)
    .map(([child, , ...command]) => ({ pid: Number(child), command: command.join(' ') }))
}
