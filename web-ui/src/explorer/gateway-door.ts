import { readFile } from 'node:fs/promises'
import http, { type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import {
  beginCall,
  createPeerCaller,
  DEADLINE_HEADER,
  type PeerCaller,
  PeerError,
} from '@hallpass/service-kit'
import { parseJson } from '@hallpass/untrusted/json'

export const GATEWAY = 'sse-gateway'
/** The gateway answers at once or not at all. */
const TIMEOUT_MS = 5_000

export interface GatewayRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Until the head of the answer is there; 5 s by default. */
  readonly timeoutMs?: number
}

/** How this service speaks with the gateway: each request on a connection of its own, answered as soon as its head is there. */
export class GatewayDoor {
  readonly #origin: URL
  readonly #caFile: string
  #health: { readonly call: PeerCaller; readonly ca: string | undefined } | undefined

  /** @param url any address of the gateway. */
  constructor(url: string, caFile: string) {
    this.#origin = new URL('/', url)
    this.#caFile = caFile
  }

  get caFile(): string {
    return this.#caFile
  }

  get origin(): string {
    return this.#origin.origin
  }

  /**
   * @returns the answer, of which the body may go on for hours.
   * @throws {PeerError} when the gateway is away.
   */
  async knock(asked: GatewayRequest): Promise<IncomingMessage> {
    const { method, path, token } = asked
    const { traceparent, tell } = beginCall({ peer: GATEWAY, method, path, authorization: token })
    try {
      const answer = await this.#send(asked, traceparent)
      tell({ status: answer.statusCode ?? 0 })
      return answer
    } catch (error) {
      tell({ reason: 'peer_unreachable' })
      throw error
    }
  }

  /** Whether the gateway answers a health check in time: one connection, kept open as long as the authority is the same. */
  async answers(timeoutMs: number): Promise<boolean> {
    try {
      const ca = this.#origin.protocol === 'https:' ? await readFile(this.#caFile, 'utf8') : undefined
      if (this.#health?.ca !== ca || !this.#health)
        this.#health = {
          ca,
          call: createPeerCaller({
            peer: GATEWAY,
            baseUrl: this.origin,
            timeoutMs,
            ...(ca === undefined ? {} : { tls: { ca } }),
          }),
        }
      return (await this.#health.call({ method: 'GET', path: '/healthz' })).status === 200
    } catch {
      return false
    }
  }

  async #send(
    { method, path, token, headers, body, timeoutMs = TIMEOUT_MS }: GatewayRequest,
    traceparent: string,
  ): Promise<IncomingMessage> {
    const url = new URL(path, this.#origin)
    const options: RequestOptions = {
      method,
      agent: false,
      headers: {
        ...(method === 'POST' ? { 'content-length': String(Buffer.byteLength(body ?? '')) } : {}),
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        traceparent,
        [DEADLINE_HEADER]: timeoutMs,
      },
      timeout: timeoutMs,
    }
    const tls = url.protocol === 'https:' ? { ca: await readFile(this.#caFile, 'utf8') } : undefined
    return new Promise((resolve, reject) => {
      const request = tls ? https.request(url, { ...options, ...tls }) : http.request(url, options)
      request
        .on('response', (answer) => {
          // A stream may well be silent; its heartbeats are the gateway's business.
          request.setTimeout(0)
          resolve(answer)
        })
        .on('timeout', () => {
          reject(late(`${GATEWAY} at ${url.origin} did not answer within ${timeoutMs} ms.`))
          request.destroy()
        })
        .on('error', (cause) =>
          reject(
            new PeerError(
              GATEWAY,
              502,
              'peer_unreachable',
              `${GATEWAY} at ${url.origin} is not reachable.`,
              cause,
            ),
          ),
        )
        .end(body)
    })
  }
}

const late = (message: string, cause?: unknown) => new PeerError(GATEWAY, 504, 'peer_timeout', message, cause)

/**
 * The whole body of an answer that ends by itself, as JSON when it is that.
 * @throws {PeerError} when it does not come to its end in time.
 */
export async function bodyOf(answer: IncomingMessage): Promise<unknown> {
  let text = ''
  const deadline = setTimeout(() => answer.destroy(), TIMEOUT_MS)
  try {
    for await (const chunk of answer.setEncoding('utf8')) text += chunk
  } catch (error) {
    throw late(`${GATEWAY} did not finish its answer within ${TIMEOUT_MS} ms.`, error)
  } finally {
    clearTimeout(deadline)
  }
  try {
    return parseJson(text)
  } catch {
    return text
  }
}
