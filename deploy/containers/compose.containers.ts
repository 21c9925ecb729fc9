import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { findEngine, run } from './engine.ts'

/** A build without a cache takes four minutes on two cores, and so does a start on a busy machine. */
const MINUTES = 60_000
/** An address of its own of this machine, so that a suite on the documented ports does not get in the way. */
const ADDRESS = '127.0.0.77'
const PROJECT = `hallpass-test-${process.pid}`
const AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt'

const root = join(import.meta.dirname, '../..')
const engine = await findEngine()
if (typeof engine === 'string') console.warn(`skipped: ${engine}`)
const describeHere = typeof engine === 'string' ? describe.skip : describe

describeHere('docker-compose.yml', () => {
  const own = {
    ...(typeof engine === 'string' ? {} : engine.env),
    BIND: ADDRESS,
    COMPOSE_PROJECT_NAME: PROJECT,
  }
  const docker = (...args: string[]) => run('docker', args, { env: own, cwd: root })
  const compose = (...args: string[]) => run('docker-compose', args, { env: own, cwd: root })
  const folder = mkdtempSync(join(tmpdir(), 'hallpass-containers-'))
  const caFile = join(folder, 'ca.pem')

  /** The body, and the status on the last line. */
  const curl = (url: string, ...options: string[]) => {
    const port = new URL(url).port || '80'
    const text = run(
      'curl',
      [
        '-sS',
        '-m',
        '20',
        '-w',
        '\n%{http_code}',
        '--resolve',
        `localhost:${port}:${ADDRESS}`,
        ...options,
        url,
      ],
      { env: own, cwd: folder },
    )
    const at = text.lastIndexOf('\n')
    return { status: Number(text.slice(at + 1)), body: text.slice(0, at) }
  }
  const token = (...args: string[]) =>
    compose('run', '--rm', '-T', '--no-deps', 'operator', 'token', ...args).trim()
  const bearer = (text: string) => ['-H', `Authorization: Bearer ${text}`]
  const states = () =>
    docker(
      'ps',
      '--all',
      '--filter',
      `label=com.docker.compose.project=${PROJECT}`,
      '--format',
      '{{.Names}} {{.Status}}',
    )
      .trim()
      .split('\n')
      .map((line) => line.replace(`${PROJECT}_`, ''))

  async function until(what: string, isSo: () => boolean) {
    for (const deadline = Date.now() + 2 * MINUTES; !isSo(); ) {
      if (Date.now() > deadline) throw new Error(`not within two minutes: ${what}\n${states().join('\n')}`)
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }

  beforeAll(async () => {
    // Where no registry of images can be reached, the base images are made from what this machine has.
    run('bash', [join(import.meta.dirname, 'import-base-images.sh')], { env: own, cwd: root })
    const authorities = existsSync(AUTHORITIES) ? ['--build-arg', `NODE_EXTRA_CA_CERTS=${AUTHORITIES}`] : []
    docker('build', '--network', 'host', ...authorities, '--tag', 'hallpass:0.1.0', '.')
    compose('up', '--detach')
    await until('everything is healthy', () =>
      states().every((line) => /\(healthy\)|Exited \(0\)/.test(line)),
    )
    writeFileSync(
      caFile,
      docker(
        'exec',
        `${PROJECT}_sse-gateway1_1`,
        'node',
        '-p',
        'require("fs").readFileSync("/state/certificates/ca.pem","utf8")',
      ),
    )
  }, 15 * MINUTES)

  afterAll(async () => {
    compose('down', '--volumes', '--timeout', '5')
    rmSync(folder, { recursive: true })
    if (typeof engine !== 'string') await engine.stop()
  }, 5 * MINUTES)

  it.each([1, 2, 3, 4, 5])(
    'runs scenario %i',
    (scenario) => {
      const { status, body } = curl(`http://localhost:3000/scenario${scenario}`)
      expect([status, body]).toEqual([200, expect.not.stringContaining('"valid":false')])
    },
    2 * MINUTES,
  )

  it('refuses the expired token of scenario 1', () => {
    expect(curl('http://localhost:3000/scenario1?expired=1').body).toContain('jwt expired')
  })

  it('lets nobody have a token made who has not proved who it is', () => {
    const { status, body } = curl('http://localhost:5555/issueToken/servicea', '-X', 'POST')
    expect([status, JSON.parse(body).error.code]).toEqual([401, 'invalid_client'])
    expect(curl('http://localhost:5555/keys/servicea').status).toBe(401)
    expect(curl('http://localhost:3000/gen-keys', '-X', 'POST').status).toBe(401)
  })

  it(
    'runs scenario 6 for a user with a token, and for nobody who only says a name',
    () => {
      const user = bearer(token('token-cache', '', 'user1'))
      const { status, body } = curl('http://localhost/', ...user)
      expect([status, body]).toEqual([200, expect.stringContaining('user1')])
      expect(curl('http://localhost/', '-H', 'remote-user: user1').status).toBe(401)
    },
    2 * MINUTES,
  )

  it(
    'runs scenario 7: what is published comes through both gateways',
    async () => {
      const publisher = bearer(token('sse-server', 'publish'))
      const reader = bearer(token('https://api.example.com', 'proxy:stream'))
      const data = `hello-${Date.now()}`
      expect(
        curl(
          'http://localhost:8001/publish',
          '-X',
          'POST',
          '-H',
          'content-type: application/json',
          '-d',
          JSON.stringify({ data }),
          ...publisher,
        ).status,
      ).toBeLessThan(300)
      for (const port of [7143, 7144]) {
        const stream = curlStream(
          `https://localhost:${port}/events`,
          '--cacert',
          caFile,
          '-H',
          'Last-Event-ID: 0',
          ...reader,
        )
        expect(stream).toContain(data)
      }
    },
    3 * MINUTES,
  )

  /** A stream does not end by itself; what came within three seconds. */
  const curlStream = (url: string, ...options: string[]) => {
    const port = new URL(url).port
    return run(
      'sh',
      [
        '-c',
        'curl "$@" || test $? = 28',
        'sh',
        '-sSN',
        '-m',
        '3',
        '--resolve',
        `localhost:${port}:${ADDRESS}`,
        ...options,
        url,
      ],
      { env: own, cwd: folder },
    )
  }

  it(
    'goes on without one gateway, one proxy and Redis, and has them back',
    async () => {
      const user = bearer(token('token-cache', '', 'user2'))
      for (const name of ['sse-gateway1', 'token-cache-proxy1', 'redis'])
        docker('kill', `${PROJECT}_${name}_1`)
      await until('the other proxy answers', () => curl('http://localhost/', ...user).status === 200)
      expect(curl('https://localhost:7144/healthz', '--cacert', caFile).status).toBe(200)
      for (const name of ['redis', 'token-cache-proxy1', 'sse-gateway1'])
        docker('start', `${PROJECT}_${name}_1`)
      await until('everything is healthy again', () =>
        states().every((line) => /\(healthy\)|Exited \(0\)/.test(line)),
      )
      expect(curl('http://localhost/', ...user).status).toBe(200)
      expect(curl('https://localhost:7143/healthz', '--cacert', caFile).status).toBe(200)
    },
    5 * MINUTES,
  )

  it(
    'writes no token into a log, and runs as nobody special',
    () => {
      // The operator's own tokens are what it was asked for; those containers are gone.
      expect(compose('logs', '--no-color')).not.toMatch(/eyJ[\w-]{20}/)
      expect(docker('exec', `${PROJECT}_jwt-factory_1`, 'id', '-u').trim()).toBe('1000')
      expect(() => docker('exec', `${PROJECT}_jwt-factory_1`, 'sh', '-c', 'echo x > /app/x')).toThrow(
        'Read-only file system',
      )
    },
    2 * MINUTES,
  )

  it(
    'leaves nothing behind',
    () => {
      compose('down', '--volumes', '--timeout', '5')
      const filter = ['--filter', `label=com.docker.compose.project=${PROJECT}`, '--quiet']
      expect([
        docker('ps', '--all', ...filter),
        docker('volume', 'ls', ...filter),
        docker('network', 'ls', ...filter),
      ]).toEqual(['', '', ''])
    },
    3 * MINUTES,
  )
})
