import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import net, { type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Command } from 'commander'
import { createProgram } from './program.ts'
import { createTerminal } from './terminal/terminal.ts'
import { runCli } from './testing/run-cli.ts'

/** Valid arguments of each command, of which a test makes one invalid. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  'token encode': ['{}'],
  'token decode': ['a.b.c'],
  publish: ['{"data":"x"}'],
  scenario: ['1'],
  'spiffe token': ['spiffe://example.org/server'],
  'spiffe validate': ['--audience', 'a', 'a.b.c'],
  'spiffe add': ['spiffe://example.org/x', '--selector', 'socket:x'],
  'spiffe remove': ['x'],
  'spiffe revoke': ['x'],
  'spiffe restore': ['x'],
  'spiffe rotate': ['x509'],
  'spiffe retire': ['x509'],
  'lint-policies': ['deploy/istio'],
}

const program = createProgram(
  createTerminal({
    env: {},
    stdin: process.stdin,
    clock: Date.now,
    interrupted: new AbortController().signal,
    colourful: false,
    writeOut: () => {},
    writeErr: () => {},
  }),
)

function* allOf(command: Command, words: readonly string[] = []): Generator<[string[], Command]> {
  for (const inner of command.commands) {
    yield [[...words, inner.name()], inner]
    yield* allOf(inner, [...words, inner.name()])
  }
}
/** All commands except `spiffe`, which only groups others. */
const commands = [...allOf(program)].filter(([words]) => words.join(' ') !== 'spiffe')

describe('every command', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-bad-'))
  })
  afterAll(() => rm(folder, { recursive: true }))
  const run = (args: readonly string[], stdin = '') => runCli(args, { env: { STATE_FOLDER: folder }, stdin })

  it.each(commands.map(([words]) => words.join(' ')))('%s rejects --nonsense', async (words) => {
    const { exitCode, out, err } = await run([...words.split(' '), ...(NEEDS[words] ?? []), '--nonsense'])
    expect([exitCode, out, err]).toEqual([2, '', expect.stringContaining("Unknown option '--nonsense'")])
  })

  const options = commands.flatMap(([words, { options: own }]) =>
    own.filter(({ required }) => required).map(({ long }) => [words.join(' '), long as string] as const),
  )

  it.each(options)('%s rejects an empty %s', async (words, option) => {
    const { exitCode, out, err } = await run([...words.split(' '), ...(NEEDS[words] ?? []), option, ''])
    expect([exitCode, out]).toEqual([2, ''])
    expect(err).toMatch(new RegExp(`^hallpass: .*${option}.*|is empty|Expected name=value`))
    expect(err).not.toMatch(/\n {4}at /)
  })

  it.each(options)('%s rejects %s without a value', async (words, option) => {
    const { exitCode, out, err } = await run([...words.split(' '), ...(NEEDS[words] ?? []), option])
    expect([exitCode, out, err]).toEqual([2, '', expect.stringContaining('argument missing')])
  })

  const argued = commands.filter(([, command]) => command.registeredArguments.length > 0)
  it.each(argued.map(([words]) => words.join(' ')))('%s rejects an empty argument', async (words) => {
    const rest = (NEEDS[words] ?? []).filter((_word, index, all) =>
      (all[index - 1] ?? all[index])?.startsWith('--'),
    )
    const { exitCode, out, err } = await run([...words.split(' '), '', ...rest])
    expect([exitCode, out]).toEqual([2, ''])
    expect(err).not.toMatch(/\n {4}at /)
  })

  it.each(commands.map(([words]) => words.join(' ')))(
    'help %s prints the same as its --help',
    async (words) => {
      const [help, asked] = [
        await run(['help', ...words.split(' ')]),
        await run([...words.split(' '), '--help']),
      ]
      expect(help).toEqual(asked)
      expect([help.exitCode, help.err, help.out]).toEqual([0, '', expect.stringMatching(/^Usage: hallpass /)])
    },
  )
})

describe('a bad value', () => {
  let folder: string
  let page: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-bad-'))
    page = join(folder, 'page.html')
    await writeFile(page, '<h1>no PEM</h1>')
  })
  afterAll(() => rm(folder, { recursive: true }))
  const run = (args: readonly string[], stdin = '', env = {}) =>
    runCli(args, { env: { STATE_FOLDER: folder, ...env }, stdin })

  it.each([
    [
      ['publish', 'notjson'],
      2,
      'An event must be a JSON object, such as {"data":"Hello"}.\n  To send this as text: hallpass publish --data notjson',
    ],
    [['publish', '[1]'], 2, 'An event must be a JSON object'],
    [['publish', '5'], 2, 'An event must be a JSON object'],
    [['publish'], 2, 'Give either an event'],
    [['publish', '{}', '--data', 'x'], 2, 'Give either an event'],
    [['publish', '-'], 2, 'Standard input is empty; give an event, or pipe it in.'],
    [
      ['publish', '{}', '--to', 'localhost:7001'],
      2,
      'localhost:7001 is not a TCP address. Examples: tcp://localhost:7001',
    ],
    [['publish', '{}', '--to', 'http://localhost:7001'], 2, 'is not a TCP address'],
    [['publish', '{}', '--to', 'tcp://localhost'], 2, 'is not a TCP address'],
    [['publish', '{}', '--to', 'tcp://::1:7001'], 2, 'is not a TCP address'],
    [['publish', '{}', '--http', 'localhost:8001'], 2, 'localhost:8001 is not an http or https URL.'],
    [['publish', '{}', '--token', 'a b'], 2, 'A token consists of visible ASCII characters'],
    [['publish', '{"data":"x"'], 2, 'object'],
    [['publish', '{}'], 2, 'A publication needs data, event, id or retry.'],
    [['publish', '{"name":"a\\nb","data":"x"}'], 2, 'name "a\\nb" is not valid'],
    [['publish', '{"type":"end","data":"x"}'], 2, 'type "end" is reserved'],
    [['publish', '{"unknown":7,"data":"x"}'], 2, '"unknown" is not a member of a publication'],
    [['publish', '{"data":"x"}{"data":1,}'], 2, 'The object is not valid JSON.'],
    [['publish', '--http', '{"data":"x"}'], 2, 'Put the event first'],
    [['publish', '--http', '-'], 2, 'Put the event first'],
    [
      ['publish', '{"data":"x"}', '--http', '--to', 'tcp://localhost:1'],
      2,
      '--to is for TCP and --http is for HTTP. Give only one of them.',
    ],
    [['publish', '{"data":"x"}', '--to', 'tcp://localhost:1/path'], 2, 'consists only of a host and a port.'],
    [['publish', '{"data":"x"}', '--to', 'tcp://localhost:1?a'], 2, 'consists only of a host and a port.'],
    [['publish', '{"data":"x"}', '--to', 'tcp://u@localhost:1'], 2, 'consists only of a host and a port.'],
    [['publish', '{"data":"x"}', '--ca', 'ca.pem'], 2, '--ca requires --http with an https URL'],
    [['publish', '{"data":"x"}', '--http', '--ca', 'ca.pem'], 2, '--ca requires --http with an https URL'],
    [['publish', '{"data":"x"}', '--data', 'a', '--data', 'b'], 2, 'The option --data is given twice.'],
    [['token', '--aud', 'a', '--aud', 'b'], 2, 'The option --aud is given twice.'],
    [['token', '-a', 'a', '--aud=b'], 2, 'The option --aud is given twice.'],
    [['token', '--aud', 'a', '--no-aud'], 2, 'The options --aud and --no-aud contradict each other.'],
    [['token', '--payload', 'a=1', '--payload', 'a=2'], 2, 'The claim a is given twice.'],
    [['token', '--payload', 'exp=1', '--exp', '1m'], 2, 'The claim exp is given twice.'],
    [['token', '{"aud":"a"}', '--aud', 'b'], 2, 'The claim aud is given twice.'],
    [['token', 'encode', '{"n":1}', '--payload', 'n=2'], 2, 'The claim n is given twice.'],
    [['token', '--payload', 'n={"a":1'], 2, 'The value is not valid JSON.'],
    [['token', '--payload', 'n=[1'], 2, 'The value is not valid JSON.'],
    [['token', '--secret', '@/dev/zero'], 1, '/dev/zero is larger than the limit of 64 KiB'],
    [['listen', '--ca', '/dev/zero'], 1, '/dev/zero is larger than the limit of 1024 KiB'],
    [
      ['scenario', '1', '--url', 'http://localhost:1'],
      3,
      'http://localhost:1/scenario1 is not reachable (ECONNREFUSED)',
    ],
    [['bad\ncmd'], 2, "Unknown command 'bad\\ncmd'"],
    [['tokem\n'], 2, "Unknown command 'tokem\\n'"],
    [['--bad\nopt'], 2, "Unknown option '--bad\\nopt'"],
    [['scenario', '1', '--fault', 'a\nb'], 2, 'a\\nb'],
    [['listen', '--url', 'tcp://localhost:1'], 2, 'is not an http or https URL.'],
    [['listen', '--url', 'https://u:p@localhost/'], 2, 'The URL contains a password'],
    [['listen', '--exp', 'soon'], 2, '"soon" is not a valid time'],
    [['listen', '--token', 'a\nb'], 2, 'A token consists of visible ASCII characters'],
    [['listen', '--last-event-id', 'a\nb'], 2, 'An event ID must not contain line breaks or NUL.'],
    [['scenario', '0'], 2, 'Expected a scenario number from 1 to 5.'],
    [
      ['scenario', '1', '--fault', 'lost'],
      2,
      'Allowed choices are expired, wrong-audience, wrong-key, tampered, no-token.',
    ],
    [['scenario', '1', '--expired', '--fault', 'tampered'], 2, '--expired is a fault'],
    [['scenario', '1', '--audience', 'x'], 2, '--audience is only for scenario 5'],
    [
      ['scenario', '5', '--fault', 'tampered'],
      2,
      'such SVIDs (tampered). Scenario 5 supports only the fault wrong-audience.',
    ],
    [['scenario', '5', '--fault', 'no-token'], 2, 'Scenario 5 supports only the fault wrong-audience.'],
    [['scenario', '5', '--json'], 2, '--json is only for scenarios 1 to 4.'],
    [['scenario', '1', '--url', 'nowhere'], 2, 'nowhere is not an http or https URL.'],
    [
      ['token', '--payload', 'id=9007199254740993'],
      2,
      'The value: 9007199254740993 cannot be represented exactly',
    ],
    [
      ['token', '{"id":1e400}'],
      2,
      'Claims: Member id: 1e400 cannot be represented exactly; send it as a string.',
    ],
    [['token', '{"a":1,"a":2}'], 2, 'Claims: Member a occurs twice; send it once.'],
    [['token', 'nonsense'], 2, 'This is not valid JSON: nonsense'],
    [['token', '-'], 2, 'Standard input is empty; give claims, or pipe it in.'],
    [['token', '--exp', '99999999999999999999'], 2, 'is not a valid time for a token.'],
    [['token', 'encode'], 2, 'Give claims as a JSON object'],
    [['token', 'encode', '{"id":18446744073709551615}'], 2, 'cannot be represented exactly'],
    [['token', 'encode', '{}', '--alg', 'none'], 2, 'Use RS256, PS256, ES256 or EdDSA.'],
    [['token', 'encode', '{}', '--alg', 'HS256'], 2, 'HMAC is not supported'],
    [['token', 'decode', '-'], 2, 'Standard input is empty; give a token, or pipe it in.'],
    [
      ['spiffe', 'add', 'spiffe://example.org/x', '--selector', 'socket:x', '--ttl', 'abc'],
      2,
      '"abc" is not a valid duration. Examples: 60, 60s, 5m, 1h.',
    ],
    [
      ['spiffe', 'add', 'spiffe://example.org/x', '--selector', 'socket:x', '--ttl', '0'],
      2,
      '"0" is not a valid duration',
    ],
    [
      ['spiffe', 'add', 'spiffe://example.org/x', '--selector', 'socket:x', '--jwt-ttl=-5'],
      2,
      '"-5" is not a valid duration',
    ],
    [
      ['spiffe', 'add', 'spiffe://example.org/x', '--selector', 'socket:x', '--jwt-ttl', '1e3'],
      2,
      '"1e3" is not a valid duration',
    ],
    [
      ['spiffe', 'add', 'spiffe://example.org/x', '--selector', 'socket:x', '--ttl', '9007199254740993'],
      2,
      'is not a valid duration',
    ],
    [['spiffe', 'validate', '--audience', ''], 2, 'The option --audience is empty.'],
    [['spiffe', 'validate', '--audience', 'a'], 2, 'Standard input is empty'],
    [['spiffe', 'token', ''], 2, 'The argument audience is empty.'],
    [['spiffe', 'token', 'a', ''], 2, 'The argument audience is empty.'],
    [['spiffe', 'rotate', 'ssh'], 2, 'Allowed choices are x509, jwt.'],
    [['lint-policies', '/no/such/folder'], 1, "ENOENT: no such file or directory, stat '/no/such/folder'"],
    [['help', 'nonsense'], 2, "Unknown command 'nonsense'."],
    [['nope'], 2, "hallpass: Unknown command 'nope'."],
    [['scenario', '9'], 2, "hallpass: The number '9' is invalid. Expected a scenario number from 1 to 5."],
    [
      ['spiffe', 'add', 'spiffe://x.y/x', '--selector', 'socket:x', '--ttl', 'x'],
      2,
      'hallpass: The value \'x\' of --ttl is invalid. "x" is not a valid duration. Examples: 60, 60s, 5m, 1h.',
    ],
    [['doctor', 'now'], 2, 'Too many arguments'],
  ])('%j exits with %i and prints why', async (args, code, message) => {
    const { exitCode, out, err } = await run(args)
    expect([exitCode, out]).toEqual([code, ''])
    expect(err).toContain(message)
    expect(err).not.toMatch(/\n {4}at /)
  })

  it('of standard input is invalid UTF-8', async () => {
    const { exitCode, out, err } = await runCli(['publish', '-'], {
      stdin: Buffer.from('{"data":"\xff"}', 'latin1'),
    })
    expect([exitCode, out, err]).toEqual([2, '', 'hallpass: Standard input is not valid UTF-8.'])
  })

  it('of a flag or a list may be repeated', async () => {
    const twice = ['--no-iat', '--no-iat', '-P', 'a=1', '-P', 'b=2']
    expect((await run(['token', ...twice])).exitCode).toBe(0)
  })

  it('of --ca is a file without a certificate', async () => {
    const { exitCode, err } = await run(['listen', '--ca', page])
    expect([exitCode, err]).toEqual([1, `hallpass: ${page} contains no PEM certificate.`])
  })

  it.each([['token'], ['token encode {}'], ['listen']])(
    'of STATE_FOLDER is a missing folder, which %s does not create',
    async (words) => {
      const STATE_FOLDER = join(folder, 'mistyped')
      const { exitCode, out, err } = await run(words.split(' '), '', { STATE_FOLDER })
      expect([exitCode, out, err]).toEqual([
        1,
        '',
        `hallpass: STATE_FOLDER ${STATE_FOLDER} does not exist.\n` +
          '  Set it to the state folder of the running suite, or unset it.',
      ])
      await expect(rm(STATE_FOLDER)).rejects.toThrow('ENOENT')
    },
  )

  it('of STATE_FOLDER is a file', async () => {
    const { exitCode, err } = await run(['token'], '', { STATE_FOLDER: page })
    expect([exitCode, err]).toEqual([
      1,
      expect.stringMatching(/^hallpass: \S+page\.html\/\S+: part of the path is a file, not a folder\. Move/),
    ])
    expect(err).not.toMatch(/\n {4}at /)
  })
})

describe('a peer', () => {
  let folder: string
  const servers: Server[] = []
  const listen = async (server: Server) => {
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return (server.address() as AddressInfo).port
  }
  let raw: number
  let page: number
  /** Its certificate is from the CA of another state folder. */
  let secure: number
  let other: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-bad-'))
    await ensureDevelopmentCertificates(folder)
    other = await mkdtemp(join(tmpdir(), 'hallpass-other-'))
    const { certFile, keyFile } = await ensureDevelopmentCertificates(other)
    secure = await listen(
      https.createServer(
        { cert: await readFile(certFile), key: await readFile(keyFile) },
        (_request, response) => response.writeHead(202).end('{"id":"1-0"}'),
      ),
    )
    raw = await listen(
      net.createServer((socket) =>
        socket
          .on('error', () => {})
          .resume()
          .end('SSH-2.0\u001b[2J\r\n'),
      ),
    )
    page = await listen(
      http.createServer((_request, response) =>
        response.end('<h1>\u001b[2J\u202e</h1>\nhallpass: all is well'),
      ),
    )
  })
  afterAll(async () => {
    for (const server of servers) server.close()
    await rm(folder, { recursive: true })
    await rm(other, { recursive: true })
  })
  const run = (args: readonly string[]) => runCli(args, { env: { STATE_FOLDER: folder } })

  it.each([
    [['publish', '{"data":"x"}', '--to', 'tcp://localhost:2']],
    [['publish', '{"data":"x"}', '--http', 'http://localhost:2']],
    [['listen', '--url', 'https://localhost:2']],
    [['listen', '--url', 'http://localhost:2']],
    [['listen', '--url', 'https://[::1]:2']],
    [['scenario', '1', '--url', 'http://localhost:2']],
    [['spiffe', 'show', '--as', 'nobody']],
    [['spiffe', 'token', 'a', '--as', 'nobody']],
    [['spiffe', 'validate', '--audience', 'a', 'a.b.c', '--as', 'nobody']],
    [['spiffe', 'add', 'spiffe://example.org/x', '--selector', 'socket:x']],
    [['spiffe', 'entries']],
    [['spiffe', 'authorities']],
    [['spiffe', 'remove', 'x']],
    [['spiffe', 'revoke', 'x']],
    [['spiffe', 'restore', 'x']],
    [['spiffe', 'rotate', 'jwt']],
    [['spiffe', 'retire', 'jwt']],
  ])('that is unreachable makes %j exit with 3', async (args) => {
    const { exitCode, out, err } = await run(args)
    expect([exitCode, out]).toEqual([3, ''])
    expect(err).toMatch(/ECONNREFUSED|ENOENT/)
    expect(err).not.toMatch(/\n {4}at /)
  })

  const EVENT = '{"data":"x"}'
  it.each([
    ['no TLS', 'listen', () => ['--url', `https://localhost:${raw}/`], 'does not speak TLS (', 'Try http:'],
    ['no TLS', 'listen', () => ['--url', `https://localhost:${page}/`], 'does not speak TLS (', 'Try http:'],
    [
      'no TLS',
      'publish',
      () => [EVENT, '--http', `https://localhost:${page}`],
      'does not speak TLS (',
      'Try http:',
    ],
    [
      'no TLS',
      'scenario',
      () => ['1', '--url', `https://localhost:${page}`],
      'does not speak TLS (',
      'Try http:',
    ],
    [
      'TLS',
      'listen',
      () => ['--url', `http://localhost:${secure}/`],
      'does not speak plain HTTP (',
      'Try https:',
    ],
    [
      'TLS',
      'publish',
      () => [EVENT, '--http', `http://localhost:${secure}`],
      'does not speak plain HTTP (',
      'Try https:',
    ],
    [
      'TLS',
      'scenario',
      () => ['1', '--url', `http://localhost:${secure}`],
      'does not speak plain HTTP (',
      'Try https:',
    ],
    [
      'another authority',
      'listen',
      () => ['--url', `https://localhost:${secure}/`],
      'failed TLS verification (',
      '--ca',
    ],
    [
      'another authority',
      'publish',
      () => [EVENT, '--http', `https://localhost:${secure}`],
      'failed TLS verification (',
      '--ca',
    ],
    [
      'another authority',
      'scenario',
      () => ['1', '--url', `https://localhost:${secure}`],
      'failed TLS verification (',
      'NODE_EXTRA_CA_CERTS',
    ],
  ] as const)(
    'that speaks %s makes %s exit with 3, cause and fix',
    async (_what, command, args, cause, remedy) => {
      const { exitCode, out, err } = await run([command, ...args()])
      expect([exitCode, out]).toEqual([3, ''])
      expect(err).toContain(cause)
      expect(err).toContain(remedy)
      expect(err).not.toContain('npm start')
    },
  )

  it('is trusted by publish with its --ca', async () => {
    const ca = join(other, 'certificates/ca.pem')
    const args = ['publish', EVENT, '--http', `https://localhost:${secure}`, '--ca', ca]
    expect(await run(args)).toEqual({ exitCode: 0, out: '1-0', err: '' })
  })

  it.each([
    ['publish over HTTP', (): string[] => ['publish', '{"data":"x"}', '--http', `http://localhost:${page}`]],
    ['publish over TCP', (): string[] => ['publish', '{"data":"x"}', '--to', `tcp://localhost:${raw}`]],
    ['listen', (): string[] => ['listen', '--url', `http://localhost:${page}/`]],
    ['scenario', (): string[] => ['scenario', '1', '--url', `http://localhost:${page}`]],
  ])('that is another program is quoted safely by %s', async (_what, args) => {
    const { exitCode, out, err } = await run(args())
    expect([exitCode, out]).toEqual([1, ''])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the characters to find
    expect(err).not.toMatch(/[\u001b\u202e]|\n(?! {2})/)
  })
})

describe('a pipe', () => {
  const bin = join(import.meta.dirname, '../bin/hallpass.js')

  it('closed by its reader ends the command silently', async () => {
    const child = spawn(process.execPath, [bin, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let err = ''
    child.stderr.on('data', (chunk) => {
      err += chunk
    })
    const [code] = await once(child, 'close')
    expect([code, err]).toEqual([0, ''])
  })

  it('without data is an empty input', async () => {
    const child = spawn(process.execPath, [bin, 'token', 'decode'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let err = ''
    child.stderr.on('data', (chunk) => {
      err += chunk
    })
    const [code] = await once(child, 'close')
    expect([code, err]).toEqual([2, 'hallpass: Standard input is empty; give a token, or pipe it in.\n'])
  })

  it('with too much data is not read to the end', async () => {
    const stdin = 'x'.repeat(65 * 1024 * 1024)
    const { exitCode, err } = await runCli(['token', 'decode'], { stdin })
    expect([exitCode, err]).toEqual([1, 'hallpass: Standard input is larger than 64 MiB.'])
  })
})
