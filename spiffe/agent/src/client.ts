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

/** An X.509-SVID that a workload holds now. */
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
  /** Who holds which X.509-SVID now, and how many have been made. */
  svids(): Promise<{ issued: number; svids: AgentSvid[] }>
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
 * Every method throws a PeerError when there is no agent or it refuses; the message says why.
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

/** The workload of the suite with the longest name, so with the longest path to its socket. */
const LONGEST_SOCKET = 'sockets/service-a/agent.sock'

const socketsBelow = (stateFolder: string) => shortSocketFolder(join(stateFolder, 'spiffe'), LONGEST_SOCKET)

/** Where an agent of this state folder listens for its owner: the default of ADMIN_SOCKET. */
export const agentAdminSocket = (stateFolder: string): string => join(socketsBelow(stateFolder), 'admin.sock')

/** Holds a folder with a socket for each workload: the default of SOCKET_FOLDER. */
export const workloadSocketFolder = (stateFolder: string): string =>
  join(socketsBelow(stateFolder), 'sockets')

/** Where the workload of this name finds the agent of a development start: the default of SPIFFE_ENDPOINT_SOCKET. */
export const workloadAddress = (stateFolder: string, name: string): string =>
  socketUri(join(workloadSocketFolder(stateFolder), name, 'agent.sock'))
