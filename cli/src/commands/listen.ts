import { setTimeout as pause } from 'node:timers/promises'
import { readEvents, type StreamEvent } from '@hallpass/event-stream'
import { openStream, type StreamConnection } from '@hallpass/sse-gateway/client'
import { parseCompact, TokenError } from '@hallpass/tokens'
import { parseJson } from '@hallpass/untrusted/json'
import { type Command, InvalidArgumentError } from 'commander'
import { connectionFailure } from '../connection-failure.ts'
import { chooseKey, mintToken, readAuthority, STREAM_TOKEN } from '../credentials/index.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { isDate, parseHttpUrl, parseTime, parseToken, type Terminal } from '../terminal/index.ts'

interface ListenOptions {
  readonly url: string
  readonly token?: string
  readonly exp: string
  readonly reauthorize?: boolean
  readonly ca?: string
  readonly http1?: boolean
  readonly lastEventId?: string
  readonly topic: readonly string[]
}

const DETAILS = `
By default the command signs its own tokens with the example key of the state folder, and sends them only over TLS. A
token given with --token is sent to any URL and cannot be renewed.

  hallpass listen                                   until its token expires, after 30 seconds
  hallpass listen --reauthorize                     until Ctrl-C: each challenge is answered with a new token
  hallpass listen --topic orders/7 --topic news     only these topics, if the gateway has topics (TOPICS_CLAIM=sse)
  hallpass listen --url http://localhost:8001/events    the stream of the SSE server, without the gateway

Exit codes: 0 after Ctrl-C, 1 rejected, 2 invalid command line, 3 not reachable, 4 token expired, 5 stream ended otherwise.`

export function addListen(program: Command, terminal: Terminal): Command {
  return program
    .command('listen')
    .description('Open a stream and print its events, challenges and end reason.')
    .option('--url <url>', 'URL of the stream', parseHttpUrl, 'https://localhost:7143/events')
    .option('--reauthorize', 'answer challenges with a new token')
    .option('--token <token>', 'token to send (default: a new one)', parseToken)
    .option(
      '--exp <time>',
      'expiry (exp) of new tokens: 30s, 1h, or seconds since 1970',
      STREAM_TOKEN.lifetime,
    )
    .option(
      '--topic <topic>',
      'request only the events of this topic, and allow it in new tokens (repeatable)',
      (topic: string, topics: readonly string[]) => [...topics, topic],
      [],
    )
    .option('--last-event-id <id>', 'start after the event with this ID', parseEventId)
    .option('--ca <file>', 'PEM file of the CA to trust (default: the development CA of the state folder)')
    .option('--http1', 'use HTTP/1.1 even if the server supports HTTP/2')
    .addHelpText('after', DETAILS)
    .action((options: ListenOptions) => new Listening(options, terminal).run())
}

/**
 * Tokens are dated in whole seconds, so one of the second in which the stream was opened extends nothing, and one of the next
 * second does. A third attempt would be rejected as well: the expiry is fixed (`--exp 1795316400`), or the stream is too old.
 */
const MAX_ATTEMPTS = 2
const NEXT_SECOND_MS = 1_000

/** One stream, from the request to the end. */
class Listening {
  readonly #options: ListenOptions
  readonly #terminal: Terminal
  readonly #url: URL
  #endReason: string | undefined

  constructor(options: ListenOptions, terminal: Terminal) {
    if (options.reauthorize && options.token)
      throw new CommandFailure(
        '--reauthorize makes its own tokens. Do not combine it with --token.',
        EXIT.usage,
      )
    this.#options = options
    this.#terminal = terminal
    this.#url = new URL(options.url)
    for (const topic of options.topic) this.#url.searchParams.append('topic', topic)
  }

  async run(): Promise<void> {
    const token = await this.#firstToken()
    const connection = await this.#connect(token)
    const { interrupted } = this.#terminal
    const close = () => connection.close()
    interrupted.addEventListener('abort', close, { once: true })
    try {
      const events = readEvents(connection.body, {
        onTooLarge: ({ bytes, id = 'none' }) =>
          this.#say('red', 'skipped', `an event of ${bytes} bytes, which is too large to show; id ${id}`),
      })
      for await (const event of events) await this.#show(event, connection)
    } catch (error) {
      if (interrupted.aborted) return
      this.#say('red', 'lost', lossOf(error as NodeJS.ErrnoException))
      throw new CommandFailure('The stream was interrupted.', EXIT.streamEnded)
    } finally {
      interrupted.removeEventListener('abort', close)
      connection.close()
    }
    if (interrupted.aborted) return
    if (this.#endReason === undefined) this.#say('yellow', 'end', 'without a reason')
    throw new CommandFailure('', this.#endReason === 'token_expired' ? EXIT.tokenExpired : EXIT.streamEnded)
  }

  async #connect(token: string | undefined): Promise<StreamConnection> {
    const { lastEventId, http1 = false } = this.#options
    let connection: StreamConnection
    try {
      connection = await openStream({
        url: this.#url,
        http1,
        ca: await readAuthority(this.#options.ca, this.#terminal),
        headers: {
          accept: 'text/event-stream',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(lastEventId === undefined
            ? {}
            : { 'last-event-id': Buffer.from(lastEventId).toString('latin1') }),
        },
      })
    } catch (error) {
      throw connectionFailure(this.#url.origin, error)
    }
    if (connection.status === 200) {
      this.#greet(connection, token)
      return connection
    }
    throw refusal(connection, await readText(connection))
  }

  #greet({ protocol, headers, close }: StreamConnection, token: string | undefined) {
    const type = headers['content-type'] ?? 'nothing'
    if (!type.startsWith('text/event-stream')) {
      close()
      throw new CommandFailure(`${this.#url.href} answers with ${type}, not with an event stream.`)
    }
    this.#say('green', 'connected', `${protocol}${token === undefined ? '' : `, ${expiryOf(token)}`}`)
  }

  async #show(event: StreamEvent, connection: StreamConnection) {
    if (event.event === 'challenge') return this.#answer(event, connection)
    if (event.event === 'end') {
      this.#endReason = reasonIn(event.data)
      return this.#say('yellow', 'end', this.#endReason)
    }
    const type = event.event === undefined ? '' : `${this.#terminal.style('cyan', event.event)} `
    const id = event.id === undefined ? '' : this.#terminal.style('dim', `  id ${event.id}`)
    this.#say('bold', 'event', `${type}${event.data}${id}`)
  }

  async #answer({ data }: StreamEvent, connection: StreamConnection) {
    if (!this.#options.reauthorize)
      return this.#say('yellow', 'challenge', 'not answered (use --reauthorize)')
    this.#say('yellow', 'challenge', 'new token requested')
    const { method, headers } = parseJson(data) as { method: string; headers: Record<string, string> }
    const handle = connection.headers['stream-handle']
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const token = await this.#mint()
      const { status, text } = await connection.send(method, {
        ...headers,
        authorization: `Bearer ${token}`,
        ...(typeof handle === 'string' ? { 'stream-handle': handle } : {}),
      })
      if (status === 204) return this.#say('green', 'renewed', expiryOf(token))
      if (status !== 409)
        return this.#say('red', 'rejected', `the gateway answered the new token with ${status}`)
      this.#say('red', 'not extended', messageIn(text))
      if (attempt < MAX_ATTEMPTS)
        await pause(NEXT_SECOND_MS, undefined, { signal: this.#terminal.interrupted })
    }
  }

  async #firstToken(): Promise<string | undefined> {
    const { token } = this.#options
    if (token !== undefined) return token
    return this.#url.protocol === 'https:' ? this.#mint() : undefined
  }

  async #mint(): Promise<string> {
    const { lifetime: _lifetime, ...claims } = STREAM_TOKEN
    const { exp: expiry, topic } = this.#options
    const now = this.#terminal.clock()
    const exp = parseTime(expiry, now)
    const key = await chooseKey({ alg: 'RS256' }, this.#terminal)
    const sse = topic.length > 0 ? { sse: { subscribe: topic } } : {}
    return mintToken({ ...claims, ...sse, iat: Math.floor(now / 1000), exp, jti: crypto.randomUUID() }, key)
  }

  /** Prints one line. A line break in an event is printed as \n, so that an event cannot look like several. */
  #say(style: Parameters<Terminal['style']>[0], what: string, text: string) {
    const { print, clock } = this.#terminal
    const time = this.#terminal.style('dim', new Date(clock()).toISOString().slice(11, 23))
    print(`${time}  ${this.#terminal.style(style, what.padEnd(9))}  ${text}`)
  }
}

/** Checks only that the ID fits into a header; the server checks the rest (HTML §9.2.4). */
function parseEventId(text: string): string {
  if (/[\0\r\n]/.test(text))
    throw new InvalidArgumentError('An event ID must not contain line breaks or NUL.')
  return text
}

async function readText({ body, close }: StreamConnection): Promise<string> {
  let text = ''
  for await (const chunk of body) {
    text += chunk
    // The suite's error bodies have a few hundred bytes.
    if (text.length > 4_096) break
  }
  close()
  return text
}

function refusal({ status, headers }: StreamConnection, text: string): CommandFailure {
  const challenge = headers['www-authenticate']
  const more = challenge === undefined ? [] : [String(challenge)]
  return new CommandFailure(
    `The server rejected the stream with ${status}: ${messageIn(text)}`,
    EXIT.failed,
    more,
  )
}

/** Returns the message of an error body, or the start of a body in another format. */
function messageIn(text: string): string {
  const start = text.slice(0, 200)
  try {
    const body = parseJson(text) as { error?: { message?: string }; message?: string }
    return String(body.error?.message ?? body.message ?? start)
  } catch {
    return start
  }
}

function expiryOf(token: string): string {
  try {
    const { exp } = parseCompact(token).payload
    return typeof exp === 'number' && isDate(exp)
      ? `valid until ${new Date(exp * 1000).toISOString().slice(11, 19)}`
      : exp === undefined
        ? 'without an expiry'
        : `exp ${JSON.stringify(exp)}`
  } catch (error) {
    if (error instanceof TokenError) return 'the token is not a JWT'
    throw error
  }
}

/** undici's code of a connection that the server closed, in Node's word for it. */
const lossOf = ({ code, message }: NodeJS.ErrnoException) => (code === 'UND_ERR_SOCKET' ? 'aborted' : message)

function reasonIn(data: string): string {
  try {
    return String((parseJson(data) as { reason?: unknown }).reason)
  } catch {
    return data
  }
}
