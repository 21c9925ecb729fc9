import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { ComposeProject } from './compose-project.ts'
import { type Engine, findEngine } from './engine.ts'

/** Timeouts are in minutes: an uncached build takes that long on two cores, and so does a start on a busy machine. */
const MINUTES = 60_000
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt'

const root = join(import.meta.dirname, '../..')
const engine = await findEngine()
if (typeof engine === 'string') console.warn(`skipped: ${engine}`)
const describeHere = typeof engine === 'string' ? describe.skip : describe

describeHere('docker-compose.yml', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-containers-'))
  const name = `hallpass-test-${process.pid}`
  // A separate address, so that a suite on the documented ports does not conflict.
  const project = new ComposeProject({ engine: engine as Engine, root, name, folder, address: '127.0.0.77' })
  const curl: ComposeProject['curl'] = (...args) => project.curl(...args)
  const caFile = join(folder, 'ca.pem')

  beforeAll(async () => {
    // Without access to an image registry, the base images are made from this machine's programs.
    project.say('making missing base images')
    project.script(join(import.meta.dirname, 'import-base-images.sh'))
    const authorities = existsSync(AUTHORITIES) ? ['--build-arg', `NODE_EXTRA_CA_CERTS=${AUTHORITIES}`] : []
    project.say('building the image')
    project.docker('build', '--network', 'host', ...authorities, '--tag', 'hallpass:0.1.0', '.')
    project.say('starting the containers')
    project.compose('up', '--detach')
    await project.untilHealthy()
    writeFileSync(caFile, project.inside('sse-gateway1', 'cat', '/state/certificates/ca.pem'))
  }, 15 * MINUTES)

  beforeEach(() => project.say(expect.getState().currentTestName?.replace('docker-compose.yml ', '') ?? ''))

  afterAll(async () => {
    project.compose('down', '--volumes', '--timeout', '5')
    rmSync(folder, { recursive: true })
    await (engine as Engine).stop()
    project.say('the engine is stopped')
  }, 5 * MINUTES)

  it.each([1, 2, 3, 4, 5])(
    'runs scenario %i',
    (scenario) => {
      const { status, body } = curl(`http://localhost:3000/scenario${scenario}`)
      expect([status, body]).toEqual([200, expect.not.stringContaining('"valid":false')])
    },
    2 * MINUTES,
  )

  it('rejects the expired token of scenario 1', () => {
    expect(curl('http://localhost:3000/scenario1?expired=1').body).toContain('jwt expired')
  })

  it('issues tokens only to authenticated callers', () => {
    const tls = ['--cacert', caFile]
    const { status, body } = curl('https://localhost:5443/issueToken/servicea', ...tls, '-X', 'POST')
    expect([status, JSON.parse(body).error.code]).toEqual([401, 'invalid_client'])
    expect(curl('https://localhost:5443/keys/servicea', ...tls).status).toBe(401)
    expect(curl('https://localhost:3443/gen-keys', ...tls, '-X', 'POST').status).toBe(401)
  })

  it('refuses credentials that are not encrypted', () => {
    for (const url of ['http://localhost:5555/issueToken/servicea', 'http://localhost:3000/gen-keys']) {
      const { status, body } = curl(url, '-X', 'POST')
      expect([status, JSON.parse(body).error.code]).toEqual([403, 'tls_required'])
    }
    expect(curl('http://localhost:5555/.well-known/jwks.json').status).toBe(200)
    const answer = project.inside('redis', 'redis-cli', '--tls', '--cacert', '/redis/ca.crt', 'dbsize')
    expect(answer).toContain('NOAUTH')
  })

  it(
    'runs scenario 6 for a user with a token, and rejects a user who only sends a name',
    () => {
      const { status, body } = curl('http://localhost/', ...project.token('token-cache', '', 'user1'))
      expect([status, body]).toEqual([200, expect.stringContaining('user1')])
      expect(curl('http://localhost/', '-H', 'remote-user: user1').status).toBe(401)
    },
    2 * MINUTES,
  )

  it.each([
    ['ada', '200', '200'],
    ['ben', '200', '403'],
  ])(
    'logs %s in, who gets %s and %s from the backends (scenario 8)',
    (user, first, second) => {
      const jar = ['-L', '-c', `${user}.cookies`, '-b', `${user}.cookies`]
      const form = curl('http://localhost:4000/login', ...jar).body
      const action = /action="(\/interaction\/[^"]+\/sign-in)"/.exec(form)?.[1]
      const home = curl(`http://localhost:9000${action}`, ...jar, '-d', `user=${user}`)
      expect([home.status, home.body]).toEqual([200, expect.stringMatching(/Hello, \w+/)])
      const card = (backend: string) =>
        new RegExp(`data-backend="${backend}"[\\s\\S]*?\\b([2-5]\\d\\d)\\b`).exec(home.body)?.[1]
      expect([card('backend-api'), card('second-backend-api')]).toEqual([first, second])
    },
    2 * MINUTES,
  )

  it('reports that the explorer is off, because services do not report their hops', () => {
    const { status, body } = curl('http://localhost:4000/explorer', '-H', 'Accept: application/json')
    expect([status, body]).toEqual([404, expect.stringContaining('explorer_off')])
    expect(curl('http://localhost:4000/').body).not.toContain('/explorer')
  })

  it('gives the private key of service A only to service A', () => {
    for (const callee of ['service-b', 'service-c']) {
      expect(project.inside(callee, 'ls', '-R', '/state')).not.toContain('jwt-private.pem')
      expect(project.inside(callee, 'ls', '/state/scenario-3-keys')).toBe('jwks.json\njwt-public.pem')
      expect(() => project.inside(callee, 'sh', '-c', 'echo {} > /state/scenario-3-keys/jwks.json')).toThrow(
        'Read-only file system',
      )
    }
    expect(project.inside('service-a', 'ls', '-l', '/state/signing-key')).toMatch(
      /^-rw------- .* jwt-private\.pem$/m,
    )
  })

  describe('when a part is killed', () => {
    let reader: string[]
    let publisher: string[]
    beforeAll(() => {
      publisher = project.token('sse-server', 'publish')
      reader = ['--cacert', caFile, ...project.token('https://api.example.com', 'proxy:stream')]
    }, MINUTES)

    const publish = (data: string) => {
      const json = ['-H', 'content-type: application/json', '-d', JSON.stringify({ data })]
      return curl('https://localhost:8001/publish', '--cacert', caFile, '-X', 'POST', ...json, ...publisher)
        .status
    }
    const since = (id: string) => ['-H', `Last-Event-ID: ${id}`, ...reader]
    const eventsSince = (port: number, id: string) =>
      [...project.peek(`https://localhost:${port}/events`, ...since(id)).matchAll(/^data:(.*)$/gm)].map(
        ([, data]) => data,
      )

    it(
      'a stream (scenario 7) continues at the other gateway, and no event is lost',
      async () => {
        expect(publish('before')).toBe(202)
        const first = project.stream('https://localhost:7143/events', ...since('0'))
        await project.until('the first gateway streams', () => first.text().includes('data:before'))
        project.kill('sse-gateway1')
        await project.until('the stream is interrupted', first.ended)
        expect(publish('while it is away')).toBe(202)
        const last = /.*id:(\S+)/s.exec(first.text())?.[1] ?? ''
        expect(eventsSince(7144, last)).toEqual(['while it is away'])
        project.start('sse-gateway1')
        await project.until('the first gateway streams again', () => eventsSince(7143, last).length > 0)
        expect(eventsSince(7143, last)).toEqual(['while it is away'])
      },
      3 * MINUTES,
    )

    it(
      'no request fails when a proxy dies, and the balancer uses the proxy again after its restart',
      async () => {
        const newcomer = project.token('token-cache', '', 'user2')
        project.kill('token-cache-proxy1')
        const answers = Array.from({ length: 10 }, () => curl('http://localhost/', ...newcomer).status)
        expect(answers).toEqual(answers.map(() => 200))
        const timesBack = () =>
          project.docker('logs', project.container('token-cache-load-balancer')).split('proxy up').length
        const before = timesBack()
        project.start('token-cache-proxy1')
        await project.until('the balancer uses the proxy again', () => timesBack() > before)
      },
      3 * MINUTES,
    )

    it(
      'without Redis, users with a cached token are served and others are rejected, until it is back',
      async () => {
        const [known, newcomer] = ['user3', 'user4'].map((user) => project.token('token-cache', '', user))
        const ask = (user: string[] = []) => curl('http://localhost/', ...user)
        // Requests go to the proxies in turn: now each proxy has the user's token.
        for (let i = 0; i < 4; i += 1) expect(ask(known).status).toBe(200)
        project.kill('redis', 'sse-gateway1', 'token-cache-proxy1')
        for (let i = 0; i < 4; i += 1) expect(ask(known).status).toBe(200)
        // While the store is unavailable, no proxy can check whether a user is blocked: the cache fails closed.
        const { status, body } = ask(newcomer)
        expect([status, body]).toEqual([503, expect.stringContaining('store_unavailable')])
        expect(publish('into nothing')).toBe(503)
        project.start('redis', 'sse-gateway1', 'token-cache-proxy1')
        await project.untilHealthy()
        expect(ask(known).status).toBe(200)
        expect(ask(newcomer).status).toBe(200)
        expect(publish('after')).toBe(202)
        await project.until('the first gateway streams again', () => eventsSince(7143, '0').includes('after'))
      },
      5 * MINUTES,
    )
  })

  it(
    'logs no token, and runs as an unprivileged user',
    () => {
      // The operator prints tokens on purpose; its containers are already removed.
      expect(project.compose('logs', '--no-color')).not.toMatch(/eyJ[\w-]{20}/)
      expect(project.inside('jwt-factory', 'id', '-u')).toBe('1000')
      expect(() => project.inside('jwt-factory', 'sh', '-c', 'echo x > /app/x')).toThrow(
        'Read-only file system',
      )
    },
    2 * MINUTES,
  )

  it(
    'leaves nothing behind',
    () => {
      project.compose('down', '--volumes', '--timeout', '5')
      const filter = ['--filter', `label=com.docker.compose.project=${name}`, '--quiet']
      expect([
        project.docker('ps', '--all', ...filter),
        project.docker('volume', 'ls', ...filter),
        project.docker('network', 'ls', ...filter),
      ]).toEqual(['', '', ''])
    },
    3 * MINUTES,
  )
})
