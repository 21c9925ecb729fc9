import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@hallpass/service-kit'
import { createApp, loadConfig } from '@hallpass/spiffe-agent/app'
import { workloadAddress } from '@hallpass/spiffe-agent/client'
import { parseCompact } from '@hallpass/tokens'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { runCli } from '../testing/run-cli.ts'

const SERVER = 'spiffe://example.org/server'

let folder: string
let agent: Awaited<ReturnType<typeof createApp>>
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hallpass-spiffe-'))
  agent = await createApp(
    loadConfig({ STATE_FOLDER: folder, PORT: '0', BUNDLE_ENDPOINT_PORT: '0' }),
    silentLog,
  )
  await agent.start()
})
afterAll(async () => {
  await agent.stop()
  await rm(folder, { recursive: true })
})
const run = (args: string, stdin?: string, env = {}) =>
  runCli(['spiffe', ...args.split(' ')], {
    env: { STATE_FOLDER: folder, ...env },
    ...(stdin === undefined ? {} : { stdin }),
  })

describe('hallpass spiffe, as a workload', () => {
  it('prints its X.509-SVID and its trust domains', async () => {
    const { exitCode, out } = await run('show --as server')
    expect([exitCode, out.split('\n')]).toEqual([
      0,
      [
        expect.stringMatching(
          /^spiffe:\/\/example\.org\/server {2}until \S+Z, in \d+ minutes {2}serial [0-9a-f]+$/,
        ),
        'trusts example.org (1 authority)',
      ],
    ])
    const env = { SPIFFE_ENDPOINT_SOCKET: workloadAddress(folder, 'proxy') }
    expect(JSON.parse((await run('show --json', undefined, env)).out)).toMatchObject({
      svids: [{ id: SERVER }],
      trusted: [{ trustDomain: 'example.org', authorities: 1 }],
    })
  })

  it('fetches a token and validates it, locally and by the agent', async () => {
    const { out: token, err } = await run(`token ${SERVER} --as client`)
    expect(token).toMatch(/^eyJ[\w-]+\.[\w-]+\.[\w-]+$/)
    expect(err).toMatch(
      /^spiffe:\/\/example\.org\/client, for spiffe:\/\/example\.org\/server, in \d+ minutes$/,
    )
    for (const by of ['', ' --by-agent'])
      expect(await run(`validate --as server --audience ${SERVER}${by}`, `${token}\n`)).toMatchObject({
        exitCode: 0,
        out: 'spiffe://example.org/client',
      })
    expect(await run(`validate ${token} --audience another`)).toMatchObject({
      exitCode: 1,
      err: `hallpass: jwtsvid: expected audience in ["another"] (audience=["${SERVER}"])`,
    })
  })

  it('tolerates the clock skew of CLOCK_TOLERANCE_SECONDS', async () => {
    const { out: token } = await run(`token ${SERVER} --as client`)
    const { exp } = parseCompact(token).payload as { exp: number }
    const validate = (secondsAfterExpiry: number, env = {}) =>
      runCli(['spiffe', 'validate', token, '--as', 'server', '--audience', SERVER], {
        env: { STATE_FOLDER: folder, ...env },
        clock: () => (exp + secondsAfterExpiry) * 1000,
      })
    expect(await validate(4)).toMatchObject({ exitCode: 0 })
    expect(await validate(6)).toMatchObject({ exitCode: 1, err: 'hallpass: jwtsvid: token has expired' })
    expect(await validate(6, { CLOCK_TOLERANCE_SECONDS: '60' })).toMatchObject({ exitCode: 0 })
    expect(await validate(0, { CLOCK_TOLERANCE_SECONDS: 'x' })).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('CLOCK_TOLERANCE_SECONDS must be an integer from 0 to 60'),
    })
  })

  it('reports what is wrong', async () => {
    expect(await run('token a --as client --id spiffe://example.org/other')).toMatchObject({
      exitCode: 1,
      err: 'hallpass: rpc error: code = PermissionDenied desc = no identity issued',
    })
    expect(await run('show --as nobody')).toMatchObject({
      exitCode: 2,
      err: 'hallpass: Workload not found: nobody. The workloads are: client, proxy, server, service-a, stranger',
    })
    const elsewhere = { STATE_FOLDER: join(folder, 'elsewhere') }
    expect(await run('show --as nobody', undefined, elsewhere)).toMatchObject({
      exitCode: 3,
      err: expect.stringMatching(/ENOENT.*\. Is the agent running\? npm run spiffe:agent$/),
    })
    expect(await run('show --as ../admin')).toMatchObject({
      exitCode: 2,
      err: 'hallpass: --as requires the name of a workload (1 to 32 letters, digits, - and _), not "../admin".',
    })
    expect(await run('show', undefined, { SPIFFE_ENDPOINT_SOCKET: 'http://localhost' })).toMatchObject({
      exitCode: 2,
    })
    expect((await run('validate x')).exitCode).toBe(2)
  })
})

describe('hallpass spiffe, as the owner of the agent', () => {
  it('adds, revokes, restores and removes an entry', async () => {
    const steps = []
    for (const words of [
      'add spiffe://example.org/a/worker --selector socket:worker --ttl 60 --dns w.example.org',
      'revoke worker',
      'show --as worker',
      'restore worker',
      'show --as worker',
      'remove worker',
    ])
      steps.push(await run(words))
    expect(steps.map(({ exitCode }) => exitCode)).toEqual([0, 0, 1, 0, 0, 0])
    expect(steps[0]?.out).toBe('added worker')
    expect(steps[2]?.err).toBe(
      'hallpass: rpc error: code = PermissionDenied desc = no identity issued: the entry of this workload is revoked; npm run spiffe:agent -- restore worker restores it',
    )
    expect(steps[4]?.out).toMatch(/^spiffe:\/\/example\.org\/a\/worker {2}until \S+, in \d+ s /)
    expect((await run('entries')).out).toMatch(/^server +spiffe:\/\/example\.org\/server +socket:server$/m)
    expect(await run('remove worker')).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('Entry worker not found.'),
    })
  })

  it('rotates and retires authorities', async () => {
    expect((await run('retire jwt')).out).toBe('no old jwt authority to retire')
    expect((await run('rotate x509')).out).toMatch(
      /^x509 authority [0-9a-f]{32} is published and signs in 5 s$/,
    )
    expect((await run('authorities')).out.split('\n').map((line) => line.split(/ +/).slice(0, 2))).toEqual([
      ['x509', 'active'],
      ['x509', 'prepared'],
      ['jwt', 'active'],
    ])
    expect((await run('rotate all')).exitCode).toBe(2)
  })

  it('reports that no agent runs', async () => {
    expect(await run('entries', undefined, { STATE_FOLDER: join(folder, 'elsewhere') })).toMatchObject({
      exitCode: 3,
      err: expect.stringMatching(/not reachable \(ENOENT\)\. Is the agent running\? npm run spiffe:agent$/),
    })
  })
})
