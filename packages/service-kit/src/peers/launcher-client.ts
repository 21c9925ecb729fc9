import { connect } from 'node:net'
import { join } from 'node:path'
import { withShortSocketPath } from '@hallpass/private-files'
import { lazyPeerClient, unexpectedAnswer } from './peers.ts'

/** The state of one service, as reported by `npm start`. */
export interface LaunchedService {
  readonly name: string
  /** What the service demonstrates. */
  readonly shows: string
  /** `not answering`: the process is running but hangs. */
  readonly state: 'starting' | 'running' | 'not answering' | 'restarting' | 'stopping' | 'stopped' | 'failed'
  readonly urls: readonly string[]
  /** The services that it calls. */
  readonly needs: readonly string[]
  readonly pid?: number
  /** How often the service was restarted because its process had ended. */
  readonly restarts: number
  /** How its process last ended without a request to stop. */
  readonly lastEnd?: string
}

export interface LaunchedSuite {
  /** The launcher's. */
  readonly pid: number
  readonly services: readonly LaunchedService[]
}

export interface LauncherClient {
  suite(): Promise<LaunchedSuite>
  /** Resolves when the process has ended; the service stays stopped until it is started. */
  stop(name: string): Promise<void>
  /** Resolves when the service is ready. */
  start(name: string): Promise<void>
}

/** Returns the socket of the launcher of this state folder; only its owner can open it. */
export const launcherSocketOf = (stateFolder: string): string => join(stateFolder, 'suite.sock')

/** A starting service has 30 s to become ready. */
const TIMEOUT_MS = 40_000

/**
 * Creates a client of the launcher of a running suite. Every method throws a PeerError: `peer_unreachable` if no suite
 * is running there, otherwise with the launcher's own message.
 */
export function createLauncherClient(socket: string): LauncherClient {
  const peer = 'launcher'
  const client = lazyPeerClient({
    peer,
    baseUrl: 'http://localhost',
    socketPath: socket,
    timeoutMs: TIMEOUT_MS,
    connect: (_options, callback) => {
      withShortSocketPath(socket, async (path) => {
        const connection = connect(path)
        await new Promise((resolve, reject) => connection.once('connect', resolve).once('error', reject))
        return connection
      }).then(
        (connection) => callback(null, connection),
        (error: Error) => callback(error, null),
      )
    },
  })

  async function ask<T>(method: 'GET' | 'POST', path: string): Promise<T> {
    const http = await client()
    const { status, data } = await http.request<T>({ method, url: path })
    if (status < 300) return data
    const said = (data as { error?: { message?: string } }).error?.message
    throw unexpectedAnswer(peer, status, said ?? 'no reason given')
  }
  const named = (name: string, verb: string) => `/services/${encodeURIComponent(name)}/${verb}`

  return {
    suite: () => ask('GET', '/suite'),
    stop: async (name) => void (await ask('POST', named(name, 'stop'))),
    start: async (name) => void (await ask('POST', named(name, 'start'))),
  }
}
