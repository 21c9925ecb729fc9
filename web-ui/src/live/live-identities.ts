import { badRequest } from '@hallpass/service-kit'
import { createSpiffeAgentClient, type SpiffeAgentClient } from '@hallpass/spiffe-agent/client'

/** Who has which SPIFFE identity, until when, and who is trusted to say so; asked through the agent's admin socket. */
export class LiveIdentities {
  readonly #agent: SpiffeAgentClient

  constructor({ spiffeAdminSocket }: { spiffeAdminSocket: string }) {
    this.#agent = createSpiffeAgentClient({ adminSocket: spiffeAdminSocket })
  }

  async show() {
    const [entries, held, authorities, bundle] = await Promise.all([
      this.#agent.entries(),
      this.#agent.svids(),
      this.#agent.authorities(),
      this.#agent.bundle(),
    ])
    return { now: Date.now(), entries, ...held, authorities, bundle }
  }

  async rotate(kind: unknown): Promise<void> {
    if (kind !== 'x509' && kind !== 'jwt')
      throw badRequest('unknown_kind', 'An authority is of kind x509 or jwt.')
    await this.#agent.rotate(kind)
  }

  async setRevoked(id: unknown, revoked: boolean): Promise<void> {
    if (typeof id !== 'string') throw badRequest('unknown_entry', 'An entry has an id.')
    await (revoked ? this.#agent.revoke(id) : this.#agent.restore(id))
  }
}
