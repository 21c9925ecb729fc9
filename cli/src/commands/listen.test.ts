import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { silentLog } from '@hallpass/service-kit'
import { createApp as createGateway, loadConfig as loadGatewayConfig } from '@hallpass/sse-gateway/app'
import { createApp as createServer, loadConfig as loadServerConfig } from '@hallpass/sse-server/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type CliRun, runCli } from '../testing/run-cli.ts'

/** Removes the command's own styles, the only ESC that output may contain. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the characters to find
const stripOwnStyles = (out: string) => out.replace(/\u001b\[\d+m/g, '')

/** Returns the lines of the output without their times. */
const lines = (out: string) => out.split('\n').map((line) => line.slice(14))

describe('hallpass listen', () => {
  let folder: string
  let stream: string
  let gateway: ReturnType<typeof createGateway>
  const server = createServer(loadServerConfig({ HTTP_PORT: '0', TCP_PORT: '0' }), silentLog)
  let serverUrls: Readonly<Record<string, string>>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-listen-'))
    serverUrls = await server.start()
    gateway = createGateway(
      loadGatewayConfig({
        ...{ PORT: '0', SECOND_PORT: '0', STATE_FOLDER: folder, CHALLENGE_WINDOW_SECONDS: '2' },
        UPSTREAM_URL: `${serverUrls.http}/events`,
        ASSETS_FOLDER: join(import.meta.dirname, '../../../sse-gateway/public'),
      }),
      silentLog,
    )
    const { https } = await gateway.start()
    stream = `${https}/events`
  })
  afterAll(async () => {
    await gateway.stop()
    await server.stop()
    await rm(folder, { recursive: true })
  })

  const listen = (args: readonly string[], onLine?: (line: string) => unknown) =>
    runCli(['listen', ...(args.includes('--url') ? [] : ['--url', stream]), ...args], {
      env: { STATE_FOLDER: folder },
      ...(onLine === undefined ? {} : { onLine }),
    })
  const publish = (...event: string[]) => runCli(['publish', '--to', serverUrls.tcp as string, ...event])

  /**
   * These wait for real seconds, so they run concurrently. On a busy machine, a TLS connection takes a second; a token of two
   * seconds, rounded down to whole ones, would expire meanwhile.
   */
  describe('until a token of five seconds expires', () => {
    const options = { 'HTTP/2': [], 'HTTP/1.1': ['--http1'] }
    const protocols = ['HTTP/2', 'HTTP/1.1'] as const
    let silent: readonly CliRun[]
    let answering: readonly CliRun[]
    beforeAll(async () => {
      let opened = 0
      const runs = protocols.map((protocol) =>
        listen(['--exp', '5s', ...options[protocol]], (line) => {
          if (line.includes('connected')) opened += 1
          if (line.includes('connected') && opened === protocols.length)
            void publish('{"name":"news","data":"one\\ntwo","id":"7"}')
        }),
      )
      const renewing = protocols.map((protocol) => {
        let renewals = 0
        return listen(['--exp', '5s', '--reauthorize', ...options[protocol]], (line) => {
          if (line.includes('renewed')) renewals += 1
          return renewals === 2
        })
      })
      silent = await Promise.all(runs)
      answering = await Promise.all(renewing)
    }, 30_000)

    it.each(protocols)(
      'prints events, the challenge and the end over %s, and exits with 4 at token expiry',
      (protocol) => {
        const { exitCode, out } = silent[protocols.indexOf(protocol)] as CliRun
        const shown = lines(out)
        expect(shown).toHaveLength(4)
        expect(shown).toContain('event      news one\\ntwo  id 7')
        // On a busy machine the challenge may arrive before the event.
        expect(shown).toContain('challenge  not answered (use --reauthorize)')
        expect([shown[0], shown[3]]).toEqual([
          expect.stringMatching(new RegExp(`^connected {2}${protocol}, valid until \\d\\d:\\d\\d:\\d\\d$`)),
          'end        token_expired',
        ])
        expect(exitCode).toBe(4)
      },
    )

    it.each(protocols)(
      'answers challenges over %s and stays open past its first token, until Ctrl-C',
      (protocol) => {
        const { exitCode, out } = answering[protocols.indexOf(protocol)] as CliRun
        expect(exitCode).toBe(0)
        expect(lines(out).filter((line) => !/^(event| {5})/.test(line))).toEqual([
          expect.stringMatching(/^connected/),
          'challenge  new token requested',
          expect.stringMatching(/^renewed {4}valid until/),
          'challenge  new token requested',
          expect.stringMatching(/^renewed {4}valid until/),
        ])
      },
    )
  })

  it.each([['HTTP/2', []] as const, ['HTTP/1.1', ['--http1']] as const])(
    'says over %s that a token with the same expiry does not extend the stream, and requests another',
    async (_protocol, more) => {
      const exp = Math.floor(Date.now() / 1000) + 4
      const { exitCode, out } = await listen(['--exp', `${exp}`, '--reauthorize', ...more])
      const time = new Date(exp * 1000).toISOString()
      const notExtended = `not extended  The stream closes at ${time}. The token expires at ${time}. Send a token that expires later.`
      expect([
        exitCode,
        lines(out)
          .filter((line) => line !== '')
          .slice(1),
      ]).toEqual([
        4,
        ['challenge  new token requested', notExtended, notExtended, 'end        token_expired'],
      ])
    },
    15_000,
  )

  it('starts after an event, and reads a stream that requires no token', async () => {
    const { out } = await runCli(['publish', '--http', serverUrls.http as string, '--data', 'before'])
    await publish('--data', 'after')
    const seen = await runCli(['listen', '--url', `${serverUrls.http}/events`, '--last-event-id', out], {
      env: { STATE_FOLDER: folder },
      onLine: (line) => line.includes('event'),
    })
    expect([seen.exitCode, lines(seen.out)]).toEqual([
      0,
      ['connected  HTTP/1.1', expect.stringMatching(/^event {6}after/)],
    ])
  })

  it('prints why it was rejected', async () => {
    const { exitCode, out, err } = await listen(['--token', 'abc'])
    expect([exitCode, out]).toEqual([1, ''])
    expect(err).toBe(
      'hallpass: The server rejected the stream with 401: jwt malformed\n' +
        '  Bearer realm="sse-gateway", error="invalid_token", error_description="jwt malformed", ' +
        `resource_metadata="${new URL('/.well-known/oauth-protected-resource/events', stream)}"`,
    )
    const expired = await listen(['--exp=-1m'])
    expect(expired).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('rejected the stream with 401: jwt expired'),
    })
  })

  it('rejects a page in place of a stream', async () => {
    const { exitCode, err } = await listen(['--url', stream.replace('/events', '/index.html')])
    expect([exitCode, err]).toEqual([
      1,
      expect.stringMatching(/answers with text\/html.*, not with an event stream\.$/),
    ])
  })

  it('sends nothing to a server that fails TLS verification', async () => {
    const elsewhere = join(folder, 'elsewhere')
    await mkdir(elsewhere)
    const { exitCode, err } = await runCli(['listen', '--url', stream], { env: { STATE_FOLDER: elsewhere } })
    expect([exitCode, err]).toEqual([3, expect.stringContaining('failed TLS verification (')])
  })

  it('escapes control characters of an event and prints it on one line', async () => {
    const server = http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(
        'event: \u001b[2Jx\nid: \u009b31m7\ndata: one\ndata: 10:00  end  \u202etoken_expired\u001b]0;owned\u0007\n\n' +
          'event: end\ndata: {"reason":"\\u001b[32mfine\\n"}\n\n',
      )
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const { out } = await runCli(['listen', '--url', url], { colourful: true })
    server.close()
    expect(lines(stripOwnStyles(out))).toEqual([
      'connected  HTTP/1.1',
      'event      \\u001b[2Jx one\\n10:00  end  \\u202etoken_expired\\u001b]0;owned\\u0007  id \\u009b31m7',
      'end        \\u001b[32mfine\\n',
    ])
  })

  it('connects to an IPv6 address', async () => {
    const server = http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data:x\n\n')
    })
    await new Promise<void>((resolve) => server.listen(0, '::1', resolve))
    const url = `http://[::1]:${(server.address() as AddressInfo).port}/`
    const plain = await runCli(['listen', '--url', url])
    server.close()
    expect([plain.exitCode, lines(plain.out)[1]]).toEqual([5, 'event      x'])

    const files = await ensureDevelopmentCertificates(folder)
    const [key, cert] = await Promise.all([files.keyFile, files.certFile].map((file) => readFile(file)))
    const secure = http2.createSecureServer(
      { key, cert } as http2.SecureServerOptions,
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.end('data:y\n\n')
      },
    )
    await new Promise<void>((resolve) => secure.listen(0, '::1', resolve))
    const over = await runCli(
      ['listen', '--url', `https://[::1]:${(secure.address() as AddressInfo).port}/events`],
      { env: { STATE_FOLDER: folder } },
    )
    secure.close()
    expect([over.exitCode, lines(over.out)[1], over.err]).toEqual([5, 'event      y', ''])
  })

  it('distinguishes an interrupted stream from an ended one', async () => {
    const server = http.createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data:x\n\n', () => response.destroy())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const { exitCode, out, err } = await listen(['--url', url])
    expect([exitCode, lines(out)[2], err]).toEqual([
      5,
      'lost       aborted',
      'hallpass: The stream was interrupted.',
    ])
    server.close()
  })

  it.each([
    [['--url', 'localhost'], 2, 'localhost is not an http or https URL.'],
    [['--token', 'abc', '--reauthorize'], 2, '--reauthorize makes its own tokens'],
    [['--ca', '/no/such.pem'], 1, '/no/such.pem cannot be read: ENOENT.'],
    [
      ['--url', 'https://localhost:2/'],
      3,
      'https://localhost:2 is not reachable (ECONNREFUSED). Is the suite running? npm start',
    ],
  ])('rejects %j', async (args, code, message) => {
    const { exitCode, err } = await listen(args)
    expect([exitCode, err]).toEqual([code, expect.stringContaining(message)])
  })
})
