import type { Readable } from 'node:stream'
import { EventStreamParser } from '@hallpass/event-stream'
import { currentTrace, publishHop, unexpectedAnswer } from '@hallpass/service-kit'
import { type AxiosInstance, createPeerClient } from '@hallpass/service-kit/axios'
import { pause } from '@hallpass/untrusted/timers'
import type { WatcherTokens } from '../gateway/index.ts'
import { GATEWAY, type GatewayDoor, refusalIn } from '../gateway/index.ts'
import type { Fault } from './run.ts'
import { streamCurl } from './stream-curl.ts'

export interface StreamScenarioOptions {
  readonly door: GatewayDoor
  readonly sseServerUrl: string
  readonly tokens: WatcherTokens
}

const PATH = '/events'
/** Short, so that a user sees a challenge, an answer and an end within five seconds. */
const TOKEN_SECONDS = 3
/** Longer by one: times are whole seconds, and a token that expires with the first one would extend nothing. */
const SECOND_TOKEN_SECONDS = TOKEN_SECONDS + 1
/** The delay before a challenge is answered, so that the wait is visible. */
const THINK_MS = 700
/** The lifetime of a token that is used after it has expired. */
const SHORTEST_TOKEN_SECONDS = 1
/** The limit for the whole scenario. */
const DEADLINE_MS = 15_000
/** The issuer of the gateway's own development tokens; a token of another key with this issuer is forged. */
const ISSUER = 'https://auth.example.com'
const SCOPE = 'proxy:stream'
const SOMEBODY_ELSE = 'https://somebody-else.example.com'

export interface StreamOutcome {
  readonly status: number
  readonly data: unknown
}

/**
 * Scenario 7: a stream that stays open as long as its token is valid. It delivers published events; the first challenge
 * is answered with a new token, the second is not, and the stream closes when the last token expires.
 */
export class StreamScenario {
  readonly #options: StreamScenarioOptions
  readonly #server: AxiosInstance

  constructor(options: StreamScenarioOptions) {
    this.#options = options
    this.#server = createPeerClient({ peer: 'sse-server', baseUrl: options.sseServerUrl })
  }

  async run(fault: Fault | undefined): Promise<StreamOutcome> {
    const { door } = this.#options
    const { status, headers, data } = await door.open({
      method: 'GET',
      path: PATH,
      token: await this.#firstToken(fault),
      headers: { accept: 'text/event-stream' },
    })
    if (status !== 200) return { status, data: await refusalIn(data) }
    try {
      return { status, data: await this.#live(data, String(headers['stream-handle'])) }
    } finally {
      data.destroy()
    }
  }

  curlFor(fault: Fault | undefined): string {
    const { door, tokens } = this.#options
    return streamCurl(fault, {
      origin: door.origin,
      path: PATH,
      caFile: door.caFile,
      request: { expires_in: TOKEN_SECONDS, ...tokenRequestFor(fault) },
      forged: tokens.forgedClaims(ISSUER, SCOPE),
      waitSeconds: SHORTEST_TOKEN_SECONDS + 1,
    })
  }

  async #firstToken(fault: Fault | undefined): Promise<string | undefined> {
    if (fault === 'no-token') return undefined
    if (fault === 'wrong-key') return this.#options.tokens.forge(ISSUER, SCOPE)
    const token = await this.#token(tokenRequestFor(fault))
    if (fault === 'expired') await pause(SHORTEST_TOKEN_SECONDS * 1000)
    return fault === 'tampered' ? tamper(token) : token
  }

  /** Gets a token from the gateway's development endpoint, in place of a login. */
  async #token(request: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const { status, data } = await this.#options.door.ask<{ access_token?: string }>({
      method: 'POST',
      path: '/token',
      body: { expires_in: TOKEN_SECONDS, ...request },
    })
    if (data.access_token === undefined)
      throw unexpectedAnswer(GATEWAY, status, 'it issues development tokens only in development mode')
    return data.access_token
  }

  /** Reads the stream to its end and answers the first challenge. */
  async #live(stream: Readable, handle: string): Promise<unknown> {
    const openedAt = performance.now()
    const mark = currentTrace()?.traceId
    const seen: { event: string; data: string; afterMs: number }[] = []
    let challenges = 0
    const work: Promise<unknown>[] = []
    let failure: unknown
    const fail = (error: unknown) => {
      failure ??= error
      stream.destroy()
    }
    const parser = new EventStreamParser({
      // Published by others: the scenario's own events are small.
      onTooLarge: () => {},
      onEvent: (event) => {
        const { event: type = 'message', data } = event
        const ofOthers = type === 'message' && !data.includes(`${mark}`)
        if (ofOthers) return
        tellOfEvent(type, data)
        seen.push({ event: type, data, afterMs: Math.round(performance.now() - openedAt) })
        if (type !== 'challenge') return
        challenges += 1
        // The second challenge is not answered, to show what happens then.
        if (challenges === 1) work.push(this.#answer(handle).catch(fail))
      },
    })
    const deadline = setTimeout(() => stream.destroy(), DEADLINE_MS)
    work.push(this.#say('sent while the first token is valid').catch(fail))
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) parser.push(chunk)
    } catch {
      // The stream was interrupted: the result shows that, because it has no `end` event.
    } finally {
      clearTimeout(deadline)
    }
    await Promise.all(work)
    if (failure) throw failure
    const last = seen.at(-1)
    return { ended: last?.event === 'end' ? endIn(last.data) : {}, events: seen }
  }

  async #answer(handle: string): Promise<void> {
    await pause(THINK_MS)
    await this.#options.door.ask({
      method: 'POST',
      path: PATH,
      token: await this.#token({ expires_in: SECOND_TOKEN_SECONDS }),
      headers: { 'content-type': 'application/x-challenge-response', 'stream-handle': handle },
    })
    await this.#say('sent while the second token is valid')
  }

  async #say(message: string): Promise<void> {
    const event = { data: { message, run: currentTrace()?.traceId } }
    const { status, data } = await this.#server.post<string>('/publish', event, { responseType: 'text' })
    if (status !== 202) throw unexpectedAnswer('sse-server', status, data.slice(0, 200))
  }
}

/** Returns the request for the development token. */
function tokenRequestFor(fault: Fault | undefined): Readonly<Record<string, unknown>> {
  if (fault === 'wrong-audience') return { audience: SOMEBODY_ELSE }
  if (fault === 'expired') return { expires_in: SHORTEST_TOKEN_SECONDS }
  return {}
}

/** Reports an event of the stream as a hop of the diagram. */
function tellOfEvent(type: string, data: string): void {
  const trace = currentTrace()
  if (!trace?.sampled) return
  publishHop({
    kind: 'event',
    traceId: trace.traceId,
    // Unique for each event, so that the diagram shows each of them.
    spanId: `${trace.spanId}.${eventCount++}`,
    parentId: trace.spanId,
    service: trace.service,
    peer: GATEWAY,
    path: type,
    startedAt: Date.now(),
    durationMs: 0,
    ...(type === 'end' ? { reason: endIn(data).reason ?? 'ended' } : {}),
    answerBody: data,
  })
}
let eventCount = 0

/** Parses the data of an `end` event, which contains the reason; invalid data contains none. */
function endIn(data: string): { readonly reason?: string } {
  try {
    const { reason } = JSON.parse(data) as { reason?: unknown }
    return typeof reason === 'string' ? { reason } : {}
  } catch {
    return {}
  }
}

/** Changes the claims without changing the signature. */
function tamper(token: string): string {
  const [header, claims = '', signature] = token.split('.')
  const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), admin: true }
  return [header, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.')
}
