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
   * Calls with a token for this audience; every status is an answer, but that the proxy has waited for the server without success.
   * @throws {HttpError} 502 or 504, naming the agent, the proxy or the server; 503 when this service has no identity.
   */
  async call(audience: string): Promise<SpiffeProxyAnswer> {
    try {
      // At the first call, so that service A starts without an agent; again, when that has failed.
      this.#opened ??= this.#open()
      const answer = await (await this.#opened).get(audience)
      if (answer.status !== 504) return answer
      throw unexpectedAnswer('spiffe-proxy', 504, reasonIn(answer.body))
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

function reasonIn(body: string): string {
  try {
    return (JSON.parse(body) as { error: { message: string } }).error.message
  } catch {
    return 'no reason given'
  }
}
