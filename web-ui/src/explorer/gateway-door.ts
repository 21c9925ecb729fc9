import { readFile } from 'node:fs/promises'
import http, { type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import { beginCall, PeerError } from '@hallpass/service-kit'
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
}

/** How this service speaks with the gateway: each request on a connection of its own, answered as soon as its head is there. */
export class GatewayDoor {
  readonly #origin: URL
  readonly #caFile: string

  /** @param url any address of the gateway. */
  constructor(url: string, caFile: string) {
    this.#origin = new URL('/', url)
    this.#caFile = caFile
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

  async #send(
    { method, path, token, headers, body }: GatewayRequest,
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
      },
      timeout: TIMEOUT_MS,
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
        .on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
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

/** The whole body of an answer that ends by itself, as JSON when it is that. */
export async function bodyOf(answer: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += chunk
  try {
    return parseJson(text)
  } catch {
    return text
  }
}
