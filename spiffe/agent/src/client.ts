import { join } from 'node:path'
import { shortSocketFolder } from '@hallpass/private-files'
import { lazyPeerClient, unexpectedAnswer } from '@hallpass/service-kit/peers'
import { socketUri } from '@hallpass/spiffe/address'

export { ENTRY_REVOKED } from './workload-api/refusals.ts'

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

/** A currently issued X.509-SVID. */
export interface AgentSvid {
  readonly entryId: string
  readonly spiffeId: string
  readonly authorityId: string
  readonly notBefore: string
  readonly expiresAt: string
  readonly renewsAt: string
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
  /** Lists the current X.509-SVIDs, and the number issued so far. */
  svids(): Promise<{ issued: number; svids: AgentSvid[] }>
  authorities(): Promise<AgentAuthorities>
  /** Publishes a new authority; it signs after `activeAfterSeconds`. */
  rotate(kind: AgentAuthorityKind): Promise<{ id: string; activeAfterSeconds: number }>
  /** Removes the old authorities from the bundle immediately. */
  retire(kind: AgentAuthorityKind): Promise<{ ids: string[] }>
  /** Returns the bundle of the trust domain in the SPIFFE bundle format. */
  bundle(): Promise<{ keys: unknown[]; spiffe_sequence: number; spiffe_refresh_hint: number }>
}

/**
 * Makes a client for the admin socket of a running agent.
 * Every method throws a PeerError if the agent is unreachable or rejects the request; the message contains the reason.
 */
export function createSpiffeAgentClient({
  adminSocket,
  timeoutMs,
}: {
  readonly adminSocket: string
  readonly timeoutMs?: number
}): SpiffeAgentClient {
  const peer = 'spiffe-agent'
  const client = lazyPeerClient({
    peer,
    baseUrl: 'http://localhost',
    socketPath: adminSocket,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })

  async function ask<T>(method: 'GET' | 'POST' | 'DELETE', url: string, data?: unknown): Promise<T> {
    const http = await client()
    const answer = await http.request<T>({ method, url, data })
    if (answer.status < 300) return answer.data
    const said = (answer.data as { error?: { message?: string } }).error?.message
    throw unexpectedAnswer(peer, answer.status, said ?? 'no reason given')
  }
  const named = (id: string, verb = '') => `/entries/${encodeURIComponent(id)}${verb}`

  return {
    entries: async () => (await ask<{ entries: AgentEntry[] }>('GET', '/entries')).entries,
    addEntry: async (entry) => void (await ask('POST', '/entries', entry)),
    removeEntry: async (id) => void (await ask('DELETE', named(id))),
    revoke: async (id) => void (await ask('POST', named(id, '/revoke'))),
    restore: async (id) => void (await ask('POST', named(id, '/restore'))),
    svids: () => ask('GET', '/svids'),
    authorities: () => ask('GET', '/authorities'),
    rotate: (kind) => ask('POST', `/authorities/${kind}/rotate`),
    retire: (kind) => ask('POST', `/authorities/${kind}/retire`),
    bundle: () => ask('GET', '/bundle'),
  }
}

/** The socket of the workload with the longest name, so the longest path. */
const LONGEST_SOCKET = 'sockets/service-a/agent.sock'

const socketsBelow = (stateFolder: string) => shortSocketFolder(join(stateFolder, 'spiffe'), LONGEST_SOCKET)

/** Returns the admin socket of an agent with this state folder: the default of ADMIN_SOCKET. */
export const agentAdminSocket = (stateFolder: string): string => join(socketsBelow(stateFolder), 'admin.sock')

/** Returns the folder that contains a folder with a socket for each workload: the default of SOCKET_FOLDER. */
export const workloadSocketFolder = (stateFolder: string): string =>
  join(socketsBelow(stateFolder), 'sockets')

/** Returns the address of the development agent for this workload: the default of SPIFFE_ENDPOINT_SOCKET. */
export const workloadAddress = (stateFolder: string, name: string): string =>
  socketUri(join(workloadSocketFolder(stateFolder), name, 'agent.sock'))
