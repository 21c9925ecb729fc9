import { readFile } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { AnswerTimeout, peerFailure } from '@hallpass/service-kit'
import { type AxiosInstance, createPeerClient } from '@hallpass/service-kit/axios'
import { parseJson } from '@hallpass/untrusted/json'

export const GATEWAY = 'sse-gateway'
/** For a complete response. */
const BODY_TIMEOUT_MS = 5_000

export interface GatewayRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
  /** 5 s by default. */
  readonly timeoutMs?: number
}

export interface GatewayAnswer<T> {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly data: T
}

/** The client of the gateway. Every method throws a PeerError that names the gateway if it is unavailable. */
export class GatewayDoor {
  readonly #origin: URL
  readonly #caFile: string
  #http: AxiosInstance | undefined
  #ca: string | undefined

  /** @param url any URL of the gateway */
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

  /** Requests a complete response; the timeout applies to all of it. */
  ask<T = unknown>(request: GatewayRequest): Promise<GatewayAnswer<T>> {
    return this.#send(request, 'json')
  }

  /** Opens a stream, which may last for hours; the timeout applies to its headers only. */
  open(request: GatewayRequest): Promise<GatewayAnswer<Readable>> {
    return this.#send(request, 'stream')
  }

  /** Returns whether the gateway answers a health check in time. */
  async answers(timeoutMs: number): Promise<boolean> {
    try {
      return (await this.ask({ method: 'GET', path: '/healthz', timeoutMs })).status === 200
    } catch {
      return false
    }
  }

  async #send<T>(
    { method, path, token, headers, body, timeoutMs = 0 }: GatewayRequest,
    responseType: 'json' | 'stream',
  ): Promise<GatewayAnswer<T>> {
    const http = await this.#client()
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return http.request<T>({
      method,
      url: path,
      headers: { ...headers, ...authorization },
      data: body,
      timeout: timeoutMs,
      responseType,
    })
  }

  /** Creates the client again if the CA file has changed, as after `npm run clean` and a new start. */
  async #client(): Promise<AxiosInstance> {
    const ca = this.#origin.protocol === 'https:' ? await readFile(this.#caFile, 'utf8') : undefined
    if (!this.#http || this.#ca !== ca) {
      const tls = ca === undefined ? {} : { tls: { ca } }
      this.#http = createPeerClient({ peer: GATEWAY, baseUrl: this.origin, confidential: true, ...tls })
      this.#ca = ca
    }
    return this.#http
  }
}

/**
 * Reads a rejection that was opened as a stream: the whole body, parsed if it is JSON.
 * @throws {PeerError} if it is not complete in time
 */
export async function refusalIn(stream: Readable): Promise<unknown> {
  let text = ''
  const deadline = setTimeout(() => stream.destroy(new AnswerTimeout()), BODY_TIMEOUT_MS)
  try {
    for await (const chunk of stream.setEncoding('utf8')) text += chunk
  } catch (error) {
    throw peerFailure({ peer: GATEWAY, address: GATEWAY, timeoutMs: BODY_TIMEOUT_MS }, error)
  } finally {
    clearTimeout(deadline)
  }
  try {
    return parseJson(text)
  } catch {
    return text
  }
}
