import { PeerError } from '@hallpass/service-kit'
import {
  openSpiffeProxyClient,
  type SpiffeProxyAnswer,
  type SpiffeProxyClient,
  type SpiffeProxyClientOptions,
} from '@hallpass/spiffe-proxy/client'

/** The server of scenario 5, which service A reaches through a proxy, as the workload that the SPIFFE agent says it is. */
export class SpiffeCallee {
  readonly #options: SpiffeProxyClientOptions
  #opened: Promise<SpiffeProxyClient> | undefined

  constructor(options: SpiffeProxyClientOptions) {
    this.#options = options
  }

  /** Who the proxy must prove to be; the server has the same identity. */
  get id(): string {
    return this.#options.proxyId
  }

  /**
   * Calls with a token for this audience; every status is an answer.
   * @throws {PeerError} 502 or 504, naming the agent or the proxy.
   */
  async call(audience: string): Promise<SpiffeProxyAnswer> {
    // At the first call, so that service A starts without an agent; again, when that has failed.
    this.#opened ??= openSpiffeProxyClient(this.#options).catch((error) => {
      this.#opened = undefined
      throw error
    })
    try {
      return await (await this.#opened).get(audience)
    } catch (error) {
      if (error instanceof PeerError) throw error
      const { message } = error as Error
      const late = message.includes('deadline exceeded')
      throw new PeerError(
        'spiffe-agent',
        late ? 504 : 502,
        late ? 'peer_timeout' : 'peer_unreachable',
        `spiffe-agent: ${message}`,
        error,
      )
    }
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined)
    opened?.close()
  }
}
