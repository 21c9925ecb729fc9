import { connect } from 'node:net'
import { join } from 'node:path'
import { withShortSocketPath } from '@hallpass/private-files'
import { lazyPeerClient, unexpectedAnswer } from './peers.ts'

/** What `npm start` says of one service. */
export interface LaunchedService {
  readonly name: string
  /** What a reader learns from it. */
  readonly shows: string
  /** `not answering`: its process runs and hangs. */
  readonly state: 'starting' | 'running' | 'not answering' | 'restarting' | 'stopping' | 'stopped' | 'failed'
  readonly urls: readonly string[]
  /** The services that it calls. */
  readonly needs: readonly string[]
  readonly pid?: number
  /** How often it was started again because its process had ended. */
  readonly restarts: number
  /** How its process ended last, when nobody had asked for it. */
  readonly lastEnd?: string
}

export interface LaunchedSuite {
  /** Of the launcher. */
  readonly pid: number
  readonly services: readonly LaunchedService[]
}

export interface LauncherClient {
  suite(): Promise<LaunchedSuite>
  /** Resolves when its process has ended; it stays away until it is started. */
  stop(name: string): Promise<void>
  /** Resolves when it is ready. */
  start(name: string): Promise<void>
}

/** The socket through which the launcher of this state folder is asked; only its owner can open it. */
export const launcherSocketOf = (stateFolder: string): string => join(stateFolder, 'suite.sock')

/** A service that is started has half a minute to get ready. */
const TIMEOUT_MS = 40_000

/**
 * Asks the launcher of a running suite. Every method throws a PeerError: `peer_unreachable` when no suite runs
 * there, else with the launcher's own words.
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
