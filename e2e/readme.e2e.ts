import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { wireSuite } from '../scripts/suite.ts'
import { startTestSuite, type TestSuite } from '../scripts/test-suite.ts'

const root = dirname(import.meta.dirname)
const readme = readFileSync(join(root, 'README.md'), 'utf8')

/** The commands of the README's `console` blocks with their documented output. */
const transcript = [...readme.matchAll(/```console\n([\s\S]*?)```/g)].flatMap(([, block]) =>
  (block as string)
    .split(/^\$ /m)
    .slice(1)
    .map((entry) => {
      // A backslash at the end of a line continues the command.
      const [, command, output] = /^((?:.*\\\n)*.*)\n?([\s\S]*)$/.exec(entry) as unknown as [
        string,
        string,
        string,
      ]
      return { command, output: output.trim() }
    }),
)

/** Replaces values that differ between runs by their kind. */
const normalise = (text: string) =>
  text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replace(/"jti":"[^"]*"/g, '"jti":"ID"')
    .replace(/"publicKey":"[^"]*"/g, '"publicKey":"KEY"')
    .replace(/"folder":"[^"]*"/g, '"folder":"FOLDER"')
    .replace(/\b\d{10}\b/g, 'SECONDS')
    .replace(/localhost:\d+/g, 'localhost:PORT')

let suite: TestSuite
beforeAll(async () => {
  suite = await startTestSuite(root)
}, 40_000)
afterAll(() => suite?.stop())

describe('the suite', () => {
  it('starts every process of the wiring', async () => {
    for (const { name, readyz } of suite.processes)
      if (readyz.startsWith('http:')) expect([name, (await fetch(readyz)).status]).toEqual([name, 200])
    // The bundles contain only ASCII, but the pages have other characters.
    expect(await (await fetch(suite.url('web-ui', 'PORT'))).text()).toContain(
      '<title>Home · Hallpass</title>',
    )
  })
})

describe('the README', () => {
  it('has a transcript', () => expect(transcript.length).toBeGreaterThan(5))

  it.each(transcript.map(({ command, output }) => [command, output]))(
    '%s',
    async (command, output) => {
      const { stdout } = await promisify(execFile)('bash', ['-c', onFreePorts(command)], {
        cwd: root,
        timeout: 30_000,
        env: { ...process.env, STATE_FOLDER: suite.stateFolder },
      })
      expect(normalise(stdout.trim())).toBe(normalise(output))
    },
    40_000,
  )

  /** Replaces the documented ports by those of this run. */
  function onFreePorts(command: string): string {
    const documented = wireSuite({ stateFolder: '', port: (port) => port })
    let text = command.replaceAll('.hallpass/', `${suite.stateFolder}/`)
    for (const { name, urls } of documented)
      for (const [listener, url] of Object.entries(urls)) {
        const { port } = new URL(url)
        text = text.replace(
          new RegExp(`localhost([: ])${port}\\b`, 'g'),
          `localhost$1${new URL(suite.url(name, listener)).port}`,
        )
      }
    return text
  }
})

describe('the suite, when stopped', () => {
  it('leaves no process behind', async () => {
    await suite.stop()
    for (const { name } of suite.processes)
      expect([name, suite.launcher.pid(name)]).toEqual([name, undefined])
  })
})
