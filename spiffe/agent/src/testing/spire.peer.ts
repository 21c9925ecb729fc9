import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { describeEveryCombination, UID } from './every-combination.ts'
import { installPrograms, PORTS, start } from './programs.ts'
import { type Program, Sandbox, until } from './sandbox.ts'

/** SPIRE_FOLDER contains spire-server and spire-agent if they are not on the PATH. */
const env = { ...process.env, PATH: [process.env.SPIRE_FOLDER, process.env.PATH].filter(Boolean).join(':') }
const find = (name: string) =>
  spawnSync('sh', ['-c', 'command -v "$0"', name], { env }).stdout.toString().trim()
const missing = ['spire-server', 'spire-agent', 'go'].filter((name) => find(name) === '')
const problem =
  missing.length > 0
    ? `${missing.join(' and ')} not found on the PATH or in SPIRE_FOLDER (https://spiffe.io/downloads)`
    : process.getuid?.() === 0
      ? undefined
      : 'needs root, to give the programs their own users and network'
// Skipped without SPIRE: tests must not require installing it.
if (problem) console.warn(`skipped: ${problem}`)

const FOLDER = '/tmp/spire'
const API = `${FOLDER}/server.sock`
/** Workloads get a new SVID after half of this. */
const TTL_SECONDS = 60

const SERVER_CONFIG = `
server {
  bind_address = "127.0.0.1"
  bind_port = "8081"
  trust_domain = "example.org"
  data_dir = "${FOLDER}"
  socket_path = "${API}"
  log_level = "INFO"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${FOLDER}/data.sqlite3" } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}`
const AGENT_CONFIG = `
agent {
  data_dir = "${FOLDER}/agent"
  server_address = "127.0.0.1"
  server_port = "8081"
  socket_path = "/tmp/agent.sock"
  trust_bundle_path = "${FOLDER}/bootstrap.crt"
  trust_domain = "example.org"
  log_level = "INFO"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}`

const describeHere = problem ? describe.skip : describe

describeHere('the unmodified programs of go-spiffe v2.8.1, mixed with ours, with SPIRE', () => {
  let sandbox: Sandbox
  const spire = (program: 'server' | 'agent', ...args: string[]) =>
    sandbox.run(0, [`/tmp/bin/spire-${program}`, ...args])
  const answer = async (program: Program): Promise<string> => {
    const code = await program.ended()
    if (code !== 0) throw new Error(program.output)
    return program.output
  }

  beforeAll(async () => {
    sandbox = await Sandbox.open()
    await installPrograms(sandbox)
    for (const name of ['spire-server', 'spire-agent']) {
      await copyFile(find(name), join(sandbox.tmp, 'bin', name))
      await chmod(join(sandbox.tmp, 'bin', name), 0o755)
    }
    const folder = join(sandbox.tmp, 'spire')
    await mkdir(join(folder, 'agent'), { recursive: true })
    await writeFile(join(folder, 'server.conf'), SERVER_CONFIG)
    await writeFile(join(folder, 'agent.conf'), AGENT_CONFIG)
    spire('server', 'run', '-config', `${FOLDER}/server.conf`)
    const succeeds = async (program: Program) => (await program.ended()) === 0
    await until('the SPIRE server', () => succeeds(spire('server', 'healthcheck', '-socketPath', API)))
    const bundle = await answer(spire('server', 'bundle', 'show', '-socketPath', API))
    await writeFile(join(folder, 'bootstrap.crt'), bundle)
    const host = ['-socketPath', API, '-spiffeID', 'spiffe://example.org/host']
    const token = /Token: (\S+)/.exec(
      await answer(spire('server', 'token', 'generate', ...host)),
    )?.[1] as string
    for (const name of ['client', 'server', 'stranger'] as const)
      await answer(
        spire(
          'server',
          ...['entry', 'create', '-socketPath', API, '-parentID', 'spiffe://example.org/host'],
          ...['-spiffeID', `spiffe://example.org/${name}`, '-selector', `unix:uid:${UID[name]}`],
          ...['-x509SVIDTTL', String(TTL_SECONDS), '-jwtSVIDTTL', String(TTL_SECONDS)],
        ),
      )
    spire('agent', 'run', '-config', `${FOLDER}/agent.conf`, '-joinToken', token)
    const fetchAs = (uid: number) =>
      sandbox.run(uid, ['/tmp/bin/spire-agent', 'api', 'fetch', 'x509', '-socketPath', '/tmp/agent.sock'])
    for (const uid of [UID.client, UID.server, UID.stranger])
      await until(`an SVID for ${uid}`, () => succeeds(fetchAs(uid)))
  }, 180_000)
  afterAll(async () => {
    await sandbox?.close()
  })

  describeEveryCombination(() => sandbox)

  it('rotate after 30 s under traffic without a failed request', async () => {
    const server = start(sandbox, 'node', 'server', UID.server)
    const proxy = start(sandbox, 'node', 'proxy', UID.server)
    await Promise.all([sandbox.listening(PORTS.server), sandbox.listening(PORTS.proxy)])
    const failures: string[] = []
    const serials = new Set<string>()
    let calls = 0
    // Verified against SPIRE's bundle. An SVID names a workload, not a host.
    const showSerial = `require('tls').connect({
      port: ${PORTS.proxy}, ca: require('fs').readFileSync('${FOLDER}/bootstrap.crt'), checkServerIdentity() {},
    }, function () { console.log(this.getPeerX509Certificate().serialNumber); this.destroy() })`
    for (const end = Date.now() + (TTL_SECONDS + 15) * 1000; Date.now() < end; calls += 1) {
      const client = start(sandbox, calls % 4 === 3 ? 'node' : 'go', 'client', UID.client)
      if ((await client.ended()) !== 0) failures.push(client.output)
      if (calls % 20 === 0)
        serials.add((await answer(sandbox.run(0, [process.execPath, '-e', showSerial]))).trim())
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    console.info(`${calls} requests, ${failures.length} failed, ${serials.size} certificates of the proxy`)
    expect(failures).toEqual([])
    expect(serials.size).toBeGreaterThan(1)
    await Promise.all([server.stop(), proxy.stop()])
  }, 180_000)
})
