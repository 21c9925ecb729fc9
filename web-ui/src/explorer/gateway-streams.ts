import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import http, { type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import { PeerError } from '@hallpass/service-kit'
import type { WatcherTokens } from './watcher-tokens.ts'

const PEER = 'sse-gateway'
/** The gateway answers at once or not at all. */
const TIMEOUT_MS = 5_000
/** A tab each for a room full of people; beyond it somebody is not a person. */
const MAX_STREAMS = 200

interface OpenStream {
  readonly watcher: string
  /** The gateway's own unguessable name of the stream; it never leaves this service. */
  readonly handle: string
}

export interface GatewayStreamsOptions {
  /** Where the hops are streamed, e.g. `https://localhost:7143/hops`. */
  readonly url: string
  readonly caFile: string
  readonly tokens: WatcherTokens
}

/** The streams of hops that this service holds open at the gateway, one for each page that watches. */
export class GatewayStreams {
  readonly #options: GatewayStreamsOptions
  readonly #open = new Map<string, OpenStream>()

  constructor(options: GatewayStreamsOptions) {
    this.#options = options
  }

  /**
   * Opens a stream in the name of a watcher.
   * @throws {PeerError} when the gateway is away or refuses.
   */
  async open(watcher: string, lastEventId: string | undefined) {
    if (this.#open.size >= MAX_STREAMS)
      throw new PeerError(PEER, 502, 'too_many_watchers', `${MAX_STREAMS} pages are watching already.`)
    const events = await this.#request('GET', await this.#options.tokens.issue(watcher), {
      accept: 'text/event-stream',
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    })
    if (events.statusCode !== 200) {
      events.resume()
      throw new PeerError(
        PEER,
        502,
        'stream_refused',
        `${PEER} answered ${events.statusCode} to the stream of hops.`,
      )
    }
    const id = randomBytes(12).toString('base64url')
    this.#open.set(id, { watcher, handle: String(events.headers['stream-handle']) })
    events.on('close', () => this.#open.delete(id))
    return { id, events }
  }

  /**
   * Answers the gateway's challenge: the stream lives on under a new token.
   * @returns the gateway's status, 404 for a stream that is not this watcher's.
   */
  async renew(watcher: string, id: string): Promise<number> {
    const stream = this.#open.get(id)
    if (stream?.watcher !== watcher) return 404
    const answer = await this.#request('POST', await this.#options.tokens.issue(watcher), {
      'content-type': 'application/x-challenge-response',
      'content-length': '0',
      'stream-handle': stream.handle,
    })
    answer.resume()
    return answer.statusCode ?? 502
  }

  async #request(method: string, token: string, headers: Record<string, string>): Promise<IncomingMessage> {
    const url = new URL(this.#options.url)
    const options: RequestOptions = {
      method,
      agent: false,
      headers: { ...headers, authorization: `Bearer ${token}` },
      timeout: TIMEOUT_MS,
    }
    const tls = url.protocol === 'https:' ? { ca: await readFile(this.#options.caFile, 'utf8') } : undefined
    return new Promise((resolve, reject) => {
      const request = tls ? https.request(url, { ...options, ...tls }) : http.request(url, options)
      request
        .on('response', (answer) => {
          // A stream may well be silent; its heartbeats are the gateway's business.
          request.setTimeout(0)
          resolve(answer)
        })
        .on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
        .on('error', (cause) =>
          reject(
            new PeerError(PEER, 502, 'peer_unreachable', `${PEER} at ${url.origin} is not reachable.`, cause),
          ),
        )
        .end()
    })
  }
}
