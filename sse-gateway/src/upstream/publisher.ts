import { HttpError, PeerError, retryAfterSeconds } from '@hallpass/service-kit'
import { parseJson } from '@hallpass/untrusted/json'
import { unavailable } from '../http/index.ts'
import {
  type CallPeer,
  callerWithIdentity,
  type UpstreamAccess,
  type UpstreamCredentials,
} from './credentials/index.ts'
import { refuseWithoutToken } from './upstream-connection.ts'

/** Where publications go: the `POST /publish` of an SSE server. */
export interface PublishTarget {
  readonly url: string
  /** Those of the path's upstream. */
  readonly credentials: Pick<UpstreamCredentials, 'access' | 'accessAfter'>
  /** The limit for the whole answer. */
  readonly timeoutMs: number
}

/** With another token, a rejected publication could be accepted. */
const REJECTED: ReadonlySet<number> = new Set([401, 403])
/** What the publisher can mend, or must wait for. Any other error of the server is one of this gateway's configuration. */
const PASSED_ON: ReadonlySet<number> = new Set([400, 409, 413, 429, 503])
/** The codes and messages of an SSE server have a few hundred characters; of anything else, only this much is shown. */
const MAX_SHOWN = 1_000
/** Caps the server's `Retry-After`: a publisher should not wait for hours. */
const MAX_RETRY_AFTER_SECONDS = 60

/** Sends publications to the server of a path. */
export class Publisher {
  readonly #credentials: PublishTarget['credentials']
  readonly #call: CallPeer
  readonly #path: string

  constructor({ url, credentials, timeoutMs }: PublishTarget) {
    const { origin, pathname, search } = new URL(url)
    this.#path = pathname + search
    this.#credentials = credentials
    this.#call = callerWithIdentity({ peer: 'sse-server', baseUrl: origin, timeoutMs })
  }

  /**
   * Sends a JSON object or an array, and returns the server's answer, with the `id` or the `ids` that subscribers see.
   * @throws {HttpError} the server's error if the publisher can mend it, else 502, 503 or 504 with `Retry-After`
   */
  async publish(json: string): Promise<object> {
    const { status, headers, text } = await this.#ask(json)
    const body = objectIn(text)
    if (status === 202 && isReceipt(body)) return body
    if (PASSED_ON.has(status) && isError(body)) {
      const { code, message } = body.error
      if (status !== 503) throw new HttpError(status, code, message)
      const seconds = retryAfterSeconds(headers['retry-after'])
      throw unavailable(503, code, message, undefined, seconds && Math.min(seconds, MAX_RETRY_AFTER_SECONDS))
    }
    throw unavailable(
      502,
      'publish_refused',
      `The SSE server did not accept the publication: it answered ${status}.`,
      new Error(text.slice(0, MAX_SHOWN)),
    )
  }

  /** After a 401 or 403, tries one other token, if there is one that could be accepted. */
  async #ask(body: string) {
    const access = await this.#credentials.access().catch(refuseWithoutToken)
    const answer = await this.#askWith(access, body)
    if (!REJECTED.has(answer.status)) return answer
    const next = await this.#credentials.accessAfter(access).catch(refuseWithoutToken)
    return next ? this.#askWith(next, body) : answer
  }

  async #askWith({ tls, headers }: UpstreamAccess, body: string) {
    try {
      return await this.#call(tls, {
        method: 'POST',
        path: this.#path,
        headers: { ...headers, 'content-type': 'application/json' },
        body,
      })
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      if (error.status === 504)
        throw unavailable(
          504,
          'publish_timeout',
          'The SSE server did not answer in time, so it is unknown whether it stored the publication. Retry with your own id, the same each time, so that it is stored once.',
          error,
        )
      throw unavailable(502, 'publish_unreachable', 'The SSE server is not reachable.', error)
    }
  }
}

function objectIn(text: string): object {
  try {
    const value = parseJson(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

const isReceipt = (body: { readonly id?: unknown; readonly ids?: unknown }): boolean =>
  typeof body.id === 'string' || Array.isArray(body.ids)

function isError(
  body: object,
): body is { readonly error: { readonly code: string; readonly message: string } } {
  const { error } = body as { error?: { code?: unknown; message?: unknown } }
  return typeof error?.code === 'string' && typeof error.message === 'string'
}
