import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { useTestKeys } from '../scripts/test-suite.ts'
import { hallpass } from './installed-cli.ts'
import { type StartedSuite, startSuite } from './started-suite.ts'

const root = dirname(import.meta.dirname)
const SOME = ['--free-ports', '--quiet', '--only', 'jwt-factory,service-a', '--only', 'service-b']

async function newStateFolder(...below: string[]) {
  const folder = join(await mkdtemp(join(tmpdir(), 'hallpass-services-')), ...below)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await useTestKeys(folder)
  return folder
}

async function untilGone(suite: StartedSuite, milliseconds: number) {
  const deadline = Date.now() + milliseconds
  while (suite.isAlive() && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  expect(suite.isAlive()).toBe(false)
}

describe('a suite with stopped services', () => {
  let stateFolder: string
  let suite: StartedSuite
  let serviceA: string
  beforeAll(async () => {
    stateFolder = await newStateFolder()
    suite = startSuite(stateFolder, SOME)
    await suite.until(/Everything is ready/)
    serviceA = (await suite.until(/curl (http:\S+)\/scenario1\n/))[1] as string
  }, 60_000)
  afterAll(async () => {
    if (suite.isAlive()) process.kill(-(suite.launcher.pid as number), 'SIGINT')
    await suite.ended
    await rm(stateFolder, { recursive: true, force: true })
  }, 10_000)

  const service = (...args: string[]) => hallpass(['service', ...args], { STATE_FOLDER: stateFolder })
  const list = async () => {
    const { services } = JSON.parse((await service('list', '--json')).out) as {
      services: { name: string; state: string; pid?: number; restarts: number; lastEnd?: string }[]
    }
    return Object.fromEntries(services.map((one) => [one.name, one]))
  }
  const scenario1 = async () => {
    const response = await fetch(`${serviceA}/scenario1`)
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  it('reports which services lack one that is left out, and lists it as left out', async () => {
    expect(suite.output()).toContain(
      'service-a needs service-c, spiffe-proxy, spiffe-agent, which are left out.\n',
    )
    expect(suite.output()).toMatch(/ {2}web-ui +http:\S+ +left out /)
    expect((await list()).sse_server).toBeUndefined()
    expect((await list())['sse-server']?.state).toBe('stopped')
  })

  it('restarts a service that dies, reports how it ended, and does not affect the others', async () => {
    const before = await list()
    process.kill(before['service-b']?.pid as number, 'SIGKILL')
    await suite.until(/service-b was terminated by SIGKILL\. Restarting it in 0\.5 s\./)
    await suite.until(/service-b is ready again after [\d.]+ s\./)
    const after = await list()
    expect(after['service-b']).toMatchObject({ state: 'running', restarts: 1 })
    expect(after['service-b']?.lastEnd).toBe('service-b was terminated by SIGKILL')
    expect(after['jwt-factory']?.pid).toBe(before['jwt-factory']?.pid)
    expect((await scenario1()).body).toMatchObject({ valid: true })
  }, 20_000)

  it('keeps a service stopped until it is started, while the others run', async () => {
    expect(await service('stop', 'jwt-factory')).toEqual({ exitCode: 0, out: 'stopped jwt-factory', err: '' })
    expect((await list())['jwt-factory']).toMatchObject({ state: 'stopped' })
    const { status, body } = await scenario1()
    expect(status).toBe(502)
    expect(body).toMatchObject({ error: { code: 'peer_unreachable' } })
    expect((await service('start', 'jwt-factory')).out).toBe('started jwt-factory')
    expect((await scenario1()).body).toMatchObject({ valid: true })
    expect(suite.output()).toContain('jwt-factory has stopped. Start it again with:')
    expect((await list())['jwt-factory']?.restarts).toBe(0)
  }, 20_000)

  it('starts a service that was left out, and rejects unknown names', async () => {
    expect((await service('restart', 'service-c')).out).toBe('restarted service-c')
    expect((await list())['service-c']).toMatchObject({ state: 'running' })
    expect(await service('stop', 'service-d')).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('Service not found: service-d. The services are: jwt-factory, service-b,'),
    })
  }, 20_000)

  it('shows a hanging service as not answering; doctor reports it with a fix', async () => {
    process.kill((await list())['service-b']?.pid as number, 'SIGSTOP')
    expect((await list())['service-b']?.state).toBe('not answering')
    await service('stop', 'jwt-factory')
    const { out } = await hallpass(['doctor'], { STATE_FOLDER: stateFolder })
    expect(out).toContain('✗ service-b does not answer\n    npx hallpass service restart service-b\n')
    expect(out).toMatch(/· Not running: jwt-factory, .*\n {4}npx hallpass service start jwt-factory /)
    expect(out).not.toContain('of service-b is in use')
    await service('start', 'jwt-factory')
    expect((await service('restart', 'service-b')).out).toBe('restarted service-b')
    expect((await list())['service-b']?.state).toBe('running')
  }, 40_000)

  it('reports a wrong option of a second start', async () => {
    const second = startSuite(stateFolder, ['--only', 'bogus'])
    expect(await second.ended).toBe(2)
    expect(second.output()).toContain('Service not found: bogus. The services are:')
  }, 20_000)

  it('is detected by a second start in the same folder, and by npm run clean', async () => {
    const second = startSuite(stateFolder, ['--free-ports'])
    expect(await second.ended).toBe(75)
    expect(second.output()).toBe(
      `The suite is already running in ${stateFolder}, started by pid ${suite.launcher.pid}. ` +
        'Stop it with Ctrl-C in its terminal, or run a second one with another STATE_FOLDER and --free-ports.\n',
    )
    const clean = spawnSync(process.execPath, ['scripts/clean.js'], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, STATE_FOLDER: stateFolder },
    })
    expect([clean.status, clean.stderr]).toEqual([
      75,
      expect.stringContaining(`A suite is running in ${stateFolder}`),
    ])
    expect((await stat(join(stateFolder, 'suite.sock'))).mode & 0o777).toBe(0o600)
  })

  it('stops within five seconds on Ctrl-C, even while a service waits for its restart, and removes its socket', async () => {
    process.kill((await list())['service-b']?.pid as number, 'SIGKILL')
    await suite.until(/service-b was terminated by SIGKILL[\s\S]*service-b was terminated by SIGKILL/)
    const stopped = Date.now()
    process.kill(-(suite.launcher.pid as number), 'SIGINT')
    expect(await suite.ended).toBe(0)
    expect(Date.now() - stopped).toBeLessThan(5_000)
    await untilGone(suite, 1_000)
    expect(existsSync(join(stateFolder, 'suite.sock'))).toBe(false)
    expect(await service('list')).toMatchObject({
      exitCode: 3,
      err: `hallpass: No suite is running in ${stateFolder}. Start it with: npm start`,
    })
  }, 20_000)
})

describe('a suite whose launcher is killed', () => {
  const cleanUps: (() => unknown)[] = []
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0)) await cleanUp()
  })

  it('leaves nothing running, and the next start replaces its socket, even in a deep folder', async () => {
    const deep = await newStateFolder(
      ...Array.from({ length: 6 }, (_, i) => `a-rather-long-folder-name-${i}`),
    )
    cleanUps.push(() => rm(deep, { recursive: true, force: true }))
    const args = ['--free-ports', '--quiet', '--only', 'jwt-factory']
    const first = startSuite(deep, args)
    await first.until(/Everything is ready/)
    first.launcher.kill('SIGKILL')
    await untilGone(first, 5_000)
    const second = startSuite(deep, args)
    await second.until(/Everything is ready/)
    const { out } = await hallpass(['service', 'list'], { STATE_FOLDER: deep })
    expect(out).toMatch(/^jwt-factory +running /)
    process.kill(-(second.launcher.pid as number), 'SIGINT')
    expect(await second.ended).toBe(0)
  }, 40_000)
})

describe('npm start with names', () => {
  it.each([
    [['--without', 'service-b,nobody'], 'Service not found: nobody. The services are:\n  jwt-factory\n'],
    [['--only', 'nobody'], 'Service not found: nobody.'],
    [['--only', ''], '--only requires the name of a service.'],
    [['--only', 'service-a', '--without', 'service-b'], 'Use either --without or --only.'],
  ])('rejects %j', async (args, message) => {
    const folder = join(tmpdir(), `hallpass-never-made-${process.pid}`)
    const suite = startSuite(folder, args)
    expect(await suite.ended).toBe(2)
    expect(suite.output()).toContain(message)
    expect(existsSync(folder)).toBe(false)
  })
})
