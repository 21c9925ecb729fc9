import { badRequest } from '@hallpass/service-kit'
import { createSpiffeAgentClient, type SpiffeAgentClient } from '@hallpass/spiffe-agent/client'
import { LIVE_TIMEOUT_MS } from './ask-peer.ts'

/**
 * Shows the SPIFFE identities, their expiry and the authorities that issue them, read from the agent's admin socket.
 */
export class LiveIdentities {
  readonly #agent: SpiffeAgentClient
  /** For the requests that are sent every second. */
  readonly #looks: SpiffeAgentClient

  constructor({ spiffeAdminSocket }: { spiffeAdminSocket: string }) {
    this.#agent = createSpiffeAgentClient({ adminSocket: spiffeAdminSocket })
    this.#looks = createSpiffeAgentClient({ adminSocket: spiffeAdminSocket, timeoutMs: LIVE_TIMEOUT_MS })
  }

  async show() {
    const [entries, held, authorities, bundle] = await Promise.all([
      this.#looks.entries(),
      this.#looks.svids(),
      this.#looks.authorities(),
      this.#looks.bundle(),
    ])
    return { now: Date.now(), entries, ...held, authorities, bundle }
  }

  async rotate(kind: unknown): Promise<void> {
    if (kind !== 'x509' && kind !== 'jwt') throw badRequest('unknown_kind', 'Set kind to x509 or jwt.')
    await this.#agent.rotate(kind)
  }

  async setRevoked(id: unknown, revoked: boolean): Promise<void> {
    if (typeof id !== 'string') throw badRequest('unknown_entry', 'Set id to the ID of an entry.')
    await (revoked ? this.#agent.revoke(id) : this.#agent.restore(id))
  }
}
