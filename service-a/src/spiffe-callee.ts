import { HttpError, unexpectedAnswer } from '@hallpass/service-kit'
import {
  openSpiffeProxyClient,
  type SpiffeProxyAnswer,
  type SpiffeProxyClient,
  type SpiffeProxyClientOptions,
} from '@hallpass/spiffe-proxy/client'
import { agentFailure } from './agent-failure.ts'

/** Of the time for a call, what the agent may take: who waits for this service must still hear whose fault it is. */
const AGENT_PART = 0.4

/** Accepted, not authenticated, not on the list of the server. */
const VERDICTS = [200, 401, 403]

export type SpiffeCalleeOptions = Pick<
  SpiffeProxyClientOptions,
  'endpoint' | 'proxyUrl' | 'proxyId' | 'timeoutMs'
>

/** The server of scenario 5, which service A reaches through a proxy, as the workload that the SPIFFE agent says it is. */
export class SpiffeCallee {
  readonly #options: SpiffeCalleeOptions
  #hadIdentity = false
  #opened: Promise<SpiffeProxyClient> | undefined

  constructor(options: SpiffeCalleeOptions) {
    this.#options = options
  }

  /** Who the proxy must prove to be; the server has the same identity. */
  get id(): string {
    return this.#options.proxyId
  }

  /**
   * Calls with a token for this audience. That the server accepts or refuses it is an answer; anything else is not.
   * @throws {HttpError} 502 or 504, naming the agent, the proxy or the server; 503 when this service has no identity.
   */
  async call(audience: string): Promise<SpiffeProxyAnswer> {
    try {
      // At the first call, so that service A starts without an agent; again, when that has failed.
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
  // What has come through the proxy names it in `Via`; what the proxy says itself does not.
  if (via?.includes('spiffe-proxy')) return unexpectedAnswer('spiffe-server', status, reasonIn(body))
  // The proxy, like the original's, says with nothing but a 502 that it has no answer to pass on.
  const reason =
    body === '' ? 'spiffe-server did not answer; the log of spiffe-proxy says why.' : reasonIn(body)
  return unexpectedAnswer('spiffe-proxy', status, reason)
}

function reasonIn(body: string): string {
  try {
    return (JSON.parse(body) as { error: { message: string } }).error.message
  } catch {
    return 'no reason given'
  }
}
