import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { useTestKeys } from '../scripts/test-suite.ts'

const root = dirname(import.meta.dirname)
const PORTS = ['', 'HTTPS_', 'SECOND_', 'HEALTH_', 'TCP_', 'HTTP_', 'BUNDLE_ENDPOINT_'].map(
  (name) => `${name}PORT`,
)

describe('npm run <service>', () => {
  let stateFolder: string
  const running: ChildProcess[] = []
  beforeAll(async () => {
    stateFolder = await mkdtemp(join(tmpdir(), 'hallpass-single-'))
    await useTestKeys(stateFolder)
    await ensureDevelopmentCertificates(stateFolder)
  })
  afterAll(async () => {
    await Promise.all(
      running.map((child) => {
        const gone = new Promise((resolve) => child.once('close', resolve))
        process.kill(-(child.pid as number), 'SIGTERM')
        return gone
      }),
    )
    await rm(stateFolder, { recursive: true })
  }, 20_000)

  /** Starts a script of the root's package.json as a process group leader, like a shell. */
  function run(script: string, ...args: string[]): ChildProcess & { output: string } {
    const child = spawn('npm', ['run', '--silent', script, ...args], {
      cwd: root,
      detached: true,
      env: {
        ...process.env,
        STATE_FOLDER: stateFolder,
        ...Object.fromEntries(PORTS.map((name) => [name, '0'])),
      },
    })
    const seen = Object.assign(child, { output: '' })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        seen.output += text
      })
    return seen
  }

  async function untilReady(script: string): Promise<void> {
    const child = run(script)
    running.push(child)
    while (!/"msg":"ready"/.test(child.output)) {
      if (child.exitCode !== null)
        throw new Error(`npm run ${script} ended with ${child.exitCode}:\n${child.output}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  it('starts each service with the variables of its .env file, and the SPIFFE client reports what is missing', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const services = Object.keys(scripts).filter(
      (name) => scripts[name]?.startsWith('npm start -w') && name !== 'spiffe:client',
    )
    expect(services).toEqual(expect.arrayContaining(['jwt-factory', 'servicea', 'spiffe:agent', 'web-ui']))
    // SPIFFE server and proxy need the agent.
    await untilReady('spiffe:agent')
    await Promise.all(services.filter((name) => name !== 'spiffe:agent').map(untilReady))

    const list = run('spiffe:agent', 'entry', 'list')
    expect([await ended(list), list.output]).toEqual([
      0,
      expect.stringContaining('spiffe://example.org/client'),
    ])
    // The client fails because the proxy has another port here.
    const client = run('spiffe:client')
    expect([await ended(client), client.output]).toEqual([
      1,
      expect.stringMatching(/ECONNREFUSED|not reachable/),
    ])
  }, 90_000)
})

const ended = (child: ChildProcess) => new Promise((resolve) => child.once('close', resolve))
