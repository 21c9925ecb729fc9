import { HttpError, unexpectedAnswer } from '@hallpass/service-kit'
import {
  openSpiffeProxyClient,
  type SpiffeProxyAnswer,
  type SpiffeProxyClient,
  type SpiffeProxyClientOptions,
} from '@hallpass/spiffe-proxy/client'
import { agentFailure } from './agent-failure.ts'

/** The agent's part of the time for a call, so that a slow agent can still be reported to the caller in time. */
const AGENT_PART = 0.4

/** The server's verdicts: accepted, not authenticated, not authorized. */
const VERDICTS = [200, 401, 403]

export type SpiffeCalleeOptions = Pick<
  SpiffeProxyClientOptions,
  'endpoint' | 'proxyUrl' | 'proxyId' | 'timeoutMs'
>

/**
 * The server of scenario 5, which service A calls through a proxy with the identity that the SPIFFE agent issues to it.
 */
export class SpiffeCallee {
  readonly #options: SpiffeCalleeOptions
  #hadIdentity = false
  #opened: Promise<SpiffeProxyClient> | undefined

  constructor(options: SpiffeCalleeOptions) {
    this.#options = options
  }

  /** The SPIFFE ID that the proxy must have; the server has the same. */
  get id(): string {
    return this.#options.proxyId
  }

  /**
   * Calls the server with a token for this audience. Whether it accepts or rejects the token is a result; any other
   * failure is an error.
   * @throws {HttpError} 502 or 504, naming the agent, the proxy or the server; 503 if this service has no identity
   */
  async call(audience: string): Promise<SpiffeProxyAnswer> {
    try {
      // On the first call, so that service A starts without an agent; again after a failure.
      this.#opened ??= this.#open()
      const answer = await (await this.#opened).get(audience)
      if (VERDICTS.includes(answer.status)) return answer
      throw unexpected(answer)
    } catch (error) {
      throw error instanceof HttpError ? error : agentFailure(error, this.#hadIdentity)
    }
  }

  async #open(): Promise<SpiffeProxyClient> {
    try {
      const client = await openSpiffeProxyClient({
        ...this.#options,
        agentTimeoutMs: this.#options.timeoutMs * AGENT_PART,
        failFast: true,
      })
      this.#hadIdentity = true
      return client
    } catch (error) {
      this.#opened = undefined
      throw error
    }
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined)
    opened?.close()
  }
}

function unexpected({ status, body, via }: SpiffeProxyAnswer): HttpError {
  // Responses forwarded by the proxy have it in `Via`; its own responses do not.
  if (via?.includes('spiffe-proxy')) return unexpectedAnswer('spiffe-server', status, reasonIn(body))
  // If the proxy, like the original, has no response to forward, it sends only a 502 without a body.
  const reason =
    body === '' ? 'spiffe-server did not respond. See the log of spiffe-proxy for the cause.' : reasonIn(body)
  return unexpectedAnswer('spiffe-proxy', status, reason)
}

function reasonIn(body: string): string {
  try {
    return (JSON.parse(body) as { error: { message: string } }).error.message
  } catch {
    return 'no reason given'
  }
}
