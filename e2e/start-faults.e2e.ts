import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startSuite } from './started-suite.ts'

const isRoot = process.getuid?.() === 0

describe('npm start with a fault', () => {
  let good: string
  let state: string
  const cleanUps: (() => unknown)[] = []
  beforeAll(async () => {
    good = await mkdtemp(join(tmpdir(), 'hallpass-good-'))
    // A first run, so that each service has created its files.
    const all = 'jwt-factory,service-a,sse-gateway,identity-provider,web-ui,spiffe-agent,token-cache-proxy1'
    const suite = startSuite(good, ['--quiet', '--free-ports', '--only', all])
    await suite.until(/Everything is ready/)
    process.kill(-(suite.launcher.pid as number), 'SIGINT')
    expect(await suite.ended).toBe(0)
  }, 60_000)
  afterAll(() => rm(good, { recursive: true, force: true }))
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  })

  async function newState() {
    state = await mkdtemp(join(tmpdir(), 'hallpass-fault-'))
    cleanUps.push(() => rm(state, { recursive: true, force: true }))
    await cp(good, state, { recursive: true })
  }

  /** Starts these services and waits until the start ends. */
  async function start(only: string, env: Readonly<Record<string, string>> = {}, ...args: string[]) {
    const suite = startSuite(state, ['--quiet', '--only', only, ...args], env)
    const code = await suite.ended
    expect(suite.output()).not.toMatch(/^\s+at /m)
    return { code, output: suite.output() }
  }

  /** Returns a line with a file, the cause and the fix. */
  const line = (file: string, words: string) => `${join(state, file)}: ${words}`

  it.each([
    ['jwt-factory', 'certificates/ca.pem', 'not a certificate as PEM. Restore it, or delete '],
    ['jwt-factory', 'version', 'not a version number. Restore it (this release writes 1), or '],
    ['jwt-factory', 'key-encryption.key', 'not a key-encryption key. Restore it from your backup'],
    ['jwt-factory', 'issuer/store/data.mdb', 'not a token store (lmdb). Restore it from a backup.'],
    [
      'service-a',
      'scenario-3-keys/jwt-private.pem',
      'not an RSA private key in PEM format. Restore it, or delete it',
    ],
    ['service-a', 'scenario-3-keys/jwks.json', 'not a valid JWKS. Restore it, or delete it'],
    ['sse-gateway', 'sse/private.pem', 'not a private RS256 key as PEM. Restore it, or delete '],
    ['sse-gateway', 'sse/jwks.json', 'not a valid JWKS. Restore it, or delete '],
    ['identity-provider', 'identity-provider/keys.json', 'not a set of private keys (RS256 and ES256). '],
    [
      'identity-provider',
      'identity-provider/cookie-secret',
      'not a secret of at least 22 printable characters. ',
    ],
    ['web-ui', 'web-ui/random-secret', 'not a secret of at least 22 printable characters. '],
    ['spiffe-agent', 'spiffe/authorities.json', "not the agent's authorities with their keys (JSON). "],
    ['spiffe-agent', 'spiffe/entries.yaml', 'not usable: '],
    ['token-cache-proxy1', 'token-cache/tier-secret', 'not a secret of at least 32 letters and digits. '],
    ['token-cache-proxy1', 'token-cache/store/data.mdb', 'not a token store (lmdb). Delete '],
  ])(
    'of %s reports %s with cause and fix',
    async (service, file, words) => {
      await newState()
      await mkdir(dirname(join(state, file)), { recursive: true, mode: 0o700 })
      await writeFile(join(state, file), 'nonsense {')
      const { code, output } = await start(service, {}, '--free-ports')
      expect(output.split(line(file, words))).toHaveLength(2)
      expect(code).toBe(74)
    },
    30_000,
  )

  it.each([
    ['0', 'made by an older release (state version 0, this release uses 1). To keep'],
    ['2', 'made by a newer release (state version 2, this release uses 1). Start that'],
  ])(
    'in a state folder of version %s reports how to keep or delete it',
    async (version, words) => {
      await newState()
      await writeFile(join(state, 'version'), version)
      const { code, output } = await start('jwt-factory', {}, '--free-ports')
      expect(output).toContain(`${state}: ${words}`)
      expect(output.trim().split('\n')).toHaveLength(1)
      expect(code).toBe(74)
    },
    30_000,
  )

  it('reports a file in place of the state folder', async () => {
    await newState()
    await writeFile(join(state, 'file'), '')
    state = join(state, 'file')
    const { code, output } = await start('jwt-factory')
    expect(output).toBe(
      `${state}: a file exists where a folder is expected. Move it away, or set STATE_FOLDER to another folder.\n`,
    )
    expect(code).toBe(74)
  }, 30_000)

  const mounted = isRoot ? it : it.skip
  async function mount(options: string) {
    await newState()
    const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', state])
    expect(status).toBe(0)
    cleanUps.push(() => spawnSync('umount', [state]))
  }

  mounted(
    'reports a folder on a full disk',
    async () => {
      await mount('size=16k,mode=700')
      const { code, output } = await start('jwt-factory', {}, '--free-ports')
      expect(output).toMatch(
        new RegExp(
          `^${state}/\\S+: no space left on the disk. Free some space, or set STATE_FOLDER to another`,
          'm',
        ),
      )
      expect(code).toBe(74)
    },
    30_000,
  )

  mounted(
    'reports a folder that is not writable',
    async () => {
      await mount('ro,size=64k,mode=700')
      const { code, output } = await start('jwt-factory', {}, '--free-ports')
      expect(output).toMatch(
        new RegExp(`^${state}\\S*: the file system is read-only. Mount it writable, or set`),
      )
      expect(code).toBe(74)
    },
    30_000,
  )

  it('reports every port in use, the process that uses it, and --free-ports', async () => {
    await newState()
    const servers: Server[] = []
    for (const port of [3003, 3004]) {
      const server = createServer()
      // If another program uses the port, the test works as well.
      await new Promise<void>((done) => server.once('error', () => done()).listen(port, '127.0.0.1', done))
      servers.push(server)
    }
    cleanUps.push(() => servers.map((server) => server.listening && server.close()))
    const { code, output } = await start('backend-api,second-backend-api')
    expect(output).toMatch(
      /^port 3003 of backend-api is in use by .+\nport 3004 of second-backend-api is in use by .+\nStop the processes that use them, or start on free ports: npm start -- --free-ports\n$/,
    )
    if (servers[0]?.listening) expect(output).toContain(`(pid ${process.pid})`)
    expect(code).toBe(69)
  }, 30_000)

  it('in a variable that several services read ends before any service runs', async () => {
    await newState()
    const { code, output } = await start(
      'jwt-factory',
      { TOKEN_LIBRARY: 'x', REDIS_URL: 'http://x' },
      '--free-ports',
    )
    expect(output).toMatch(/^TOKEN_LIBRARY: Unknown token library x; .+\nREDIS_URL must be .+\n$/)
    expect(code).toBe(78)
  }, 30_000)
})
