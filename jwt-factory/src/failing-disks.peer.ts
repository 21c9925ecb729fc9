import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { bundle, bundleFolder } from '../../scripts/bundle.js'
import { call, type FactoryProcess, startFactoryProcess } from './testing/factory-process.ts'

const root = join(import.meta.dirname, '../..')

/** Runs a program; returns its message if it fails, e.g. because only root may do that. */
function failureOf(program: string, ...args: string[]): string | undefined {
  try {
    execFileSync(program, args, { stdio: 'pipe' })
    return undefined
  } catch (error) {
    return (error as Error).message.trim()
  }
}

/** Returns a `describe` that is skipped, with the reason, if the trial fails. */
function describeIf(trial: (folder: string) => string | undefined, name: string) {
  const folder = mkdtempSync(join(tmpdir(), 'trial-'))
  const failure = trial(folder)
  rmSync(folder, { recursive: true, force: true })
  if (failure === undefined) return describe
  console.log(`${name}: skipped, because it needs root and the file system of a machine (${failure})`)
  return describe.skip
}

let folder = ''
let factory: FactoryProcess | undefined
beforeEach(async () => {
  await bundle(root)
  folder = mkdtempSync(join(tmpdir(), 'failing-disks-'))
})
afterEach(async () => {
  await factory?.kill()
  factory = undefined
})

const start = async (stateFolder: string) => {
  factory = await startFactoryProcess({ STATE_FOLDER: stateFolder }, [
    join(bundleFolder(root), 'jwt-factory.cjs'),
  ])
  return factory.url
}
const ask = async (url: string, method: 'GET' | 'POST', body?: object) => {
  const answer = await call(url, method, body)
  if (!answer) throw new Error(`no answer from ${url}`)
  return { status: answer.status, text: answer.text }
}

/** Checks that a factory survives a time in which it cannot write: nothing changes, it says why, and it recovers. */
async function expectSurvival(url: string, breakDisk: () => void, mendDisk: () => void, reason: RegExp) {
  const states = async () => (await ask(`${url}/utils/key-states`, 'GET')).text
  await ask(`${url}/keys/servicea`, 'GET')
  const { text: token } = await ask(`${url}/issueToken/servicea`, 'POST', { aud: 'serviceb' })
  const before = await states()
  expect((await ask(`${url}/readyz`, 'GET')).status).toBe(200)
  breakDisk()
  try {
    for (const path of ['/keys/servicea', '/keys/servicea', '/keys/servicea/withdraw', '/keys/another']) {
      const { status, text } = await ask(`${url}${path}`, 'POST')
      expect([path, status, JSON.parse(text).error.code]).toEqual([path, 503, 'state_unavailable'])
      expect(JSON.parse(text).error.message).toMatch(reason)
    }
    expect(
      (await fetch(`${url}/revoke`, { method: 'POST', body: new URLSearchParams({ token }) })).status,
    ).toBe(503)
    expect(await states()).toBe(before)
    // What needs no write goes on.
    const verified = await ask(`${url}/verify/servicea`, 'POST', { token, aud: 'serviceb', sub: 'servicea' })
    expect(verified.status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const ready = await ask(`${url}/readyz`, 'GET')
    expect(ready.status).toBe(503)
    expect(JSON.parse(ready.text).failed.state).toMatch(reason)
  } finally {
    mendDisk()
  }
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  expect((await ask(`${url}/readyz`, 'GET')).status).toBe(200)
  expect((await ask(`${url}/keys/servicea`, 'POST')).status).toBe(200)
}

describeIf(
  (trial) => failureOf('mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', trial) ?? failureOf('umount', trial),
  'a factory on a full disk',
)('a factory on a full disk of 8 MB', () => {
  beforeEach(() => void execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', folder]))
  afterEach(async () => {
    await factory?.kill()
    execFileSync('umount', [folder])
    rmSync(folder, { recursive: true })
  })

  it('changes nothing, answers 503 with the reason, is not ready, and recovers by itself', async () => {
    const url = await start(folder)
    const filler = join(folder, 'filler')
    const fill = () => {
      for (const size of [1 << 16, 1 << 12])
        for (;;)
          try {
            appendFileSync(filler, Buffer.alloc(size))
          } catch {
            break
          }
    }
    await expectSurvival(
      url,
      fill,
      () => rmSync(filler),
      /^The shared store is full \(the disk of .* has \d+ KB left\)\.$/,
    )
  }, 60_000)
})

describeIf((trial) => {
  const file = join(trial, 'file')
  writeFileSync(file, '')
  return failureOf('chattr', '+i', file) ?? failureOf('chattr', '-i', file)
}, 'a factory whose files become read-only')('a factory whose files become read-only', () => {
  it('changes nothing, answers 503 with the reason, is not ready, and recovers by itself', async () => {
    const url = await start(folder)
    const file = join(folder, 'issuer/store/data.mdb')
    await expectSurvival(
      url,
      () => void execFileSync('chattr', ['+i', file]),
      () => void execFileSync('chattr', ['-i', file]),
      /^The shared store is (full|not available) \(.+\)\.$/,
    )
  }, 60_000)
})

/** Root without the right to ignore permissions. */
const BOUND = ['--bounding-set=-dac_override,-dac_read_search', process.execPath]

describeIf(() => failureOf('setpriv', ...BOUND, '-e', ''), 'a factory that may not write to its folder')(
  'a factory that may not write to its folder',
  () => {
    afterEach(() => rmSync(folder, { recursive: true }))

    it.each(['issuer', 'issuer/store'])('does not start, and names the folder and the remedy: %s', (part) => {
      mkdirSync(join(folder, part), { recursive: true, mode: 0o700 })
      chmodSync(join(folder, part), 0o500)
      let message = ''
      try {
        execFileSync('setpriv', [...BOUND, join(bundleFolder(root), 'jwt-factory.cjs')], {
          env: { PATH: process.env.PATH, PORT: '0', STATE_FOLDER: folder, LOG_LEVEL: 'silent' },
          stdio: 'pipe',
          timeout: 20_000,
        })
      } catch (error) {
        message = String((error as { stderr: Buffer }).stderr)
      }
      expect(message).toContain(`jwt-factory: ${folder}/issuer`)
      expect(message).toMatch(/ Give this user access to it \(chown, chmod\)[.,]/)
      expect(message).not.toContain('delete')
    })
  },
)
