import { PeerError } from '@hallpass/service-kit'
import { openSpiffeProxyClient } from '@hallpass/spiffe-proxy/client'
import type { Config } from './config.ts'

export { loadConfig } from './config.ts'

/** Reports a response other than 200 from the server or the proxy. */
export class UnexpectedStatus extends Error {
  readonly status: number

  constructor(status: number) {
    super(`unexpected status: ${status}`)
    this.status = status
  }
}

/**
 * Makes one call through the proxy, like the client of go-spiffe's example, and returns the body of a 200 response.
 * @throws with the messages of go-spiffe's example for everything else.
 */
export async function callServer(config: Config, audience = config.serverId): Promise<string> {
  const { endpoint, proxyUrl, serverId: proxyId, timeoutMs } = config
  const proxy = await openSpiffeProxyClient({
    endpoint,
    proxyUrl,
    proxyId,
    timeoutMs,
    agentTimeoutMs: timeoutMs,
  })
  try {
    const { status, body } = await proxy.get(audience)
    if (status !== 200) throw new UnexpectedStatus(status)
    return body
  } catch (error) {
    if (!(error instanceof PeerError)) throw error
    // The error of a timeout has no message of its own.
    const cause = (error.cause as Error | undefined)?.message || error.message
    throw new Error(`unable to connect to "${proxyUrl}": Get "${proxyUrl}": ${cause}`, { cause: error })
  } finally {
    proxy.close()
  }
}
