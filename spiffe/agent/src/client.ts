import { resolve } from 'node:path'
import { createPeerClient, type PeerError, unexpectedAnswer } from '@hallpass/service-kit/peers'

export interface AgentEntry {
  readonly id: string
  readonly spiffeId: string
  readonly selectors: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly x509TtlSeconds?: number
  readonly jwtTtlSeconds?: number
  readonly hint?: string
  readonly federatesWith?: readonly string[]
  readonly socketOwner?: string
  readonly revoked?: boolean
}

export type AgentAuthorityKind = 'x509' | 'jwt'

export interface AgentAuthority {
  readonly id: string
  readonly state: 'prepared' | 'active' | 'old'
  readonly expiresAt: string
  readonly activatesAt?: string
  readonly retiresAt?: string
}

export interface AgentAuthorities {
  readonly sequence: number
  readonly x509: readonly AgentAuthority[]
  readonly jwt: readonly AgentAuthority[]
}

export interface SpiffeAgentClient {
  entries(): Promise<AgentEntry[]>
  addEntry(entry: AgentEntry): Promise<void>
  removeEntry(id: string): Promise<void>
  revoke(id: string): Promise<void>
  restore(id: string): Promise<void>
  authorities(): Promise<AgentAuthorities>
  /** Publishes a new authority; it signs after `activeAfterSeconds`. */
  rotate(kind: AgentAuthorityKind): Promise<{ id: string; activeAfterSeconds: number }>
  /** Ends the trust in the old authorities at once. */
  retire(kind: AgentAuthorityKind): Promise<{ ids: string[] }>
  /** The bundle of the trust domain in the SPIFFE bundle format. */
  bundle(): Promise<{ keys: unknown[]; spiffe_sequence: number; spiffe_refresh_hint: number }>
}

/**
 * The verbs of a running agent, through its admin socket.
 * Every method throws a {@link PeerError} when there is no agent or it refuses; the message says why.
 */
export function createSpiffeAgentClient({
  adminSocket,
}: {
  readonly adminSocket: string
}): SpiffeAgentClient {
  const peer = 'spiffe-agent'
  const http = createPeerClient({ peer, baseUrl: 'http://localhost', socketPath: adminSocket })

  async function ask<T>(method: 'GET' | 'POST' | 'DELETE', url: string, data?: unknown): Promise<T> {
    const answer = await http.request({ method, url, data })
    if (answer.status < 300) return answer.data as T
    throw refusal(answer.status, answer.data)
  }
  const refusal = (status: number, body: unknown): PeerError => {
    const said = (body as { error?: { message?: string } } | undefined)?.error?.message
    return unexpectedAnswer(peer, status, said ?? 'no reason given')
  }
  const named = (id: string, verb = '') => `/entries/${encodeURIComponent(id)}${verb}`

  return {
    entries: async () => (await ask<{ entries: AgentEntry[] }>('GET', '/entries')).entries,
    addEntry: async (entry) => void (await ask('POST', '/entries', entry)),
    removeEntry: async (id) => void (await ask('DELETE', named(id))),
    revoke: async (id) => void (await ask('POST', named(id, '/revoke'))),
    restore: async (id) => void (await ask('POST', named(id, '/restore'))),
    authorities: () => ask('GET', '/authorities'),
    rotate: (kind) => ask('POST', `/authorities/${kind}/rotate`),
    retire: (kind) => ask('POST', `/authorities/${kind}/retire`),
    bundle: () => ask('GET', '/bundle'),
  }
}

/** Where the workload of this name finds the agent of a development start: the default of SPIFFE_ENDPOINT_SOCKET. */
export const workloadAddress = (stateFolder: string, name: string): string =>
  `unix://${resolve(stateFolder, 'spiffe/sockets', name, 'agent.sock')}`
