import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'

const root = join(import.meta.dirname, '..')

const FILE = `import { afterAll, describe, expect, it } from '@jest/globals'
interface Point { readonly x: number }
describe('sample', () => {
  it('passes', () => { expect({ x: 1 } satisfies Point).toEqual({ x: 1 }) })
  it('fails', () => {
    const point: Point = { x: 1 }
    expect(point).toEqual({ x: 2 })
  })
  it('hangs', () => new Promise(() => {}), 50)
  it('throws later', async () => {
    setTimeout(() => { throw new Error('thrown by a timer') }, 1)
    await new Promise((resolve) => setTimeout(resolve, 50))
  })
  it('forgets a rejection', async () => {
    Promise.reject(new Error('not awaited'))
    await new Promise((resolve) => setTimeout(resolve, 50))
  })
  it('asserts too little', () => { expect.assertions(2); expect(1).toBe(1) })
  it.skip('is skipped', () => {})
})
describe('clean-up', () => {
  it('passes before it', () => {})
  afterAll(() => { throw new Error('thrown by afterAll') })
})
`

const LEAK = `import { createServer } from 'node:net'
import { it } from '@jest/globals'
it('passes', () => { createServer().listen(0) })
`

interface Report {
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly message: string
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

describe('the test runner', () => {
  let folder: string
  let report: Report
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass runner #'))
    const outputFile = join(folder, 'report.json')
    await writeFile(join(folder, 'sample.test.ts'), FILE)
    await writeFile(join(folder, 'leak.test.ts'), LEAK)
    const config = {
      rootDir: folder,
      testMatch: ['**/*.test.ts'],
      testRunner: join(root, 'scripts/jest-runner.js'),
      transform: {},
    }
    const options = ['--json', `--outputFile=${outputFile}`, '--forceExit']
    const jest = [join(root, 'node_modules/jest/bin/jest.js'), ...options]
    await new Promise((resolve) =>
      execFile(process.execPath, [...jest, '--config', JSON.stringify(config)], { cwd: folder }, resolve),
    )
    report = JSON.parse(await readFile(outputFile, 'utf8')) as Report
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))
  const resultOf = (file: string) => report.testResults.find(({ name }) => name.endsWith(file))

  it('reports the status of each test', () => {
    const results = resultOf('sample.test.ts')?.assertionResults.map(
      ({ title, status }) => `${title}: ${status}`,
    )
    expect(results).toEqual([
      'passes: passed',
      'fails: failed',
      'hangs: failed',
      'throws later: failed',
      'forgets a rejection: failed',
      'asserts too little: failed',
      'is skipped: pending',
      'passes before it: passed',
    ])
    expect(report.numFailedTests).toBe(5)
  })

  it('shows the cause with the line of the source', () => {
    const message = resultOf('sample.test.ts')?.message ?? ''
    for (const reason of [
      /> +7 \| +expect\(point\)/,
      /Exceeded timeout of 50 ms/,
      /thrown by a timer/,
      /not awaited/,
      /Expected two assertions/,
      /thrown by afterAll/,
    ])
      expect(message).toMatch(reason)
  })

  it('fails a file that leaves something open, and names it', () => {
    const { message, assertionResults } = resultOf('leak.test.ts') ?? {}
    expect(assertionResults).toMatchObject([{ title: 'passes', status: 'passed' }])
    expect(message).toContain('The tests of this file left open: TCPServerWrap.')
  })
})
