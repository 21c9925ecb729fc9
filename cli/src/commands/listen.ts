import { readEvents, type StreamEvent } from '@hallpass/event-stream'
import { parseCompact, TokenError } from '@hallpass/tokens'
import { parseJson } from '@hallpass/untrusted/json'
import { type Command, InvalidArgumentError } from 'commander'
import { parseHttpUrl, parseToken } from '../arguments.ts'
import { readAuthority } from '../authority.ts'
import { connectionFailure } from '../connection-failure.ts'
import { isDate, parseTime } from '../expiry.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { chooseKey, mintToken, STREAM_TOKEN } from '../mint-token.ts'
import { openStream, type StreamConnection } from '../stream-connection.ts'
import type { Terminal } from '../terminal.ts'

interface ListenOptions {
  readonly url: string
  readonly token?: string
  readonly exp: string
  readonly reauthorize?: boolean
  readonly ca?: string
  readonly http1?: boolean
  readonly lastEventId?: string
}

const DETAILS = `
The tokens are made here, with the example key of the state folder, unless --token gives one; that one cannot be
renewed. Without TLS no token is sent, unless --token gives one.

  hallpass listen                                   until its token expires, after 30 seconds
  hallpass listen --reauthorize                     until Ctrl-C: each challenge is answered with a new token
  hallpass listen --url http://localhost:8001/events    what the SSE server streams, without the gateway

Exit codes: 0 after Ctrl-C, 1 refused, 2 a bad command line, 3 not reachable, 4 the token expired, 5 ended otherwise.`

export function addListen(program: Command, terminal: Terminal): Command {
  return program
    .command('listen')
    .description('Open a stream and show what comes: events, challenges, the reason of the end.')
    .option('--url <url>', 'the stream', parseHttpUrl, 'https://localhost:7143/events')
    .option('--reauthorize', 'answer challenges with a new token')
    .option('--token <token>', 'the token to use', parseToken)
    .option('--exp <time>', 'how long the tokens live that are made here', STREAM_TOKEN.lifetime)
    .option('--last-event-id <id>', 'start with what came after this event', parseEventId)
    .option('--ca <file>', 'authority of the server (default: the development authority of the state folder)')
    .option('--http1', 'HTTP/1.1, where the server has both')
    .addHelpText('after', DETAILS)
    .action((options: ListenOptions) => new Listening(options, terminal).run())
}

/** One stream, from the request to the end. */
class Listening {
  readonly #options: ListenOptions
  readonly #terminal: Terminal
  readonly #url: URL
  #endReason: string | undefined

  constructor(options: ListenOptions, terminal: Terminal) {
    if (options.reauthorize && options.token)
      throw new CommandFailure(
        '--reauthorize makes its own tokens, so it does not go with --token.',
        EXIT.usage,
      )
    this.#options = options
    this.#terminal = terminal
    this.#url = new URL(options.url)
  }

  async run(): Promise<void> {
    const token = await this.#firstToken()
    const connection = await this.#connect(token)
    const { interrupted } = this.#terminal
    const close = () => connection.close()
    interrupted.addEventListener('abort', close, { once: true })
    try {
      for await (const event of readEvents(connection.body)) await this.#show(event, connection)
    } catch (error) {
      if (interrupted.aborted) return
      this.#say('red', 'cut', (error as Error).message)
      throw new CommandFailure('The stream was cut.', EXIT.streamEnded)
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
      return this.#say('yellow', 'challenge', 'not answered: --reauthorize would')
    this.#say('yellow', 'challenge', 'a new token is asked for')
    const { method, headers } = parseJson(data) as { method: string; headers: Record<string, string> }
    const token = await this.#mint()
    const handle = connection.headers['stream-handle']
    const status = await connection.send(method, {
      ...headers,
      authorization: `Bearer ${token}`,
      ...(typeof handle === 'string' ? { 'stream-handle': handle } : {}),
    })
    if (status === 204) this.#say('green', 'renewed', expiryOf(token))
    else this.#say('red', 'refused', `the new token was answered with ${status}`)
  }

  async #firstToken(): Promise<string | undefined> {
    const { token } = this.#options
    if (token !== undefined) return token
    return this.#url.protocol === 'https:' ? this.#mint() : undefined
  }

  async #mint(): Promise<string> {
    const { lifetime: _lifetime, ...claims } = STREAM_TOKEN
    const now = this.#terminal.clock()
    const exp = parseTime(this.#options.exp, now)
    const key = await chooseKey({ alg: 'RS256' }, this.#terminal)
    return mintToken({ ...claims, iat: Math.floor(now / 1000), exp, jti: crypto.randomUUID() }, key)
  }

  /** One line for one thing: a line break in an event is shown as \n, so that no event looks like several. */
  #say(style: Parameters<Terminal['style']>[0], what: string, text: string) {
    const { print, clock } = this.#terminal
    const time = this.#terminal.style('dim', new Date(clock()).toISOString().slice(11, 23))
    print(`${time}  ${this.#terminal.style(style, what.padEnd(9))}  ${text}`)
  }
}

/** What a header carries; the server knows the rest (HTML §9.2.4). */
function parseEventId(text: string): string {
  if (/[\0\r\n]/.test(text)) throw new InvalidArgumentError('An id has no line breaks and no NUL.')
  return text
}

async function readText({ body, close }: StreamConnection): Promise<string> {
  let text = ''
  for await (const chunk of body) {
    text += chunk
    // An error of the suite is some hundred bytes.
    if (text.length > 4_096) break
  }
  close()
  return text
}

function refusal({ status, headers }: StreamConnection, text: string): CommandFailure {
  const challenge = headers['www-authenticate']
  let message = text.slice(0, 200)
  try {
    const body = parseJson(text) as { error?: { message?: string }; message?: string }
    message = String(body.error?.message ?? body.message ?? message)
  } catch {
    // Not JSON, so it is shown as it is.
  }
  const more = challenge === undefined ? [] : [String(challenge)]
  return new CommandFailure(`The stream was refused with ${status}: ${message}`, EXIT.failed, more)
}

function expiryOf(token: string): string {
  try {
    const { exp } = parseCompact(token).payload
    return typeof exp === 'number' && isDate(exp)
      ? `good until ${new Date(exp * 1000).toISOString().slice(11, 19)}`
      : exp === undefined
        ? 'without an expiry'
        : `exp ${JSON.stringify(exp)}`
  } catch (error) {
    if (error instanceof TokenError) return 'a token that is no JWT'
    throw error
  }
}

function reasonIn(data: string): string {
  try {
    return String((parseJson(data) as { reason?: unknown }).reason)
  } catch {
    return data
  }
}
