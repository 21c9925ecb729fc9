import net from 'node:net'
import { AnswerTimeout, lazyPeerClient, peerFailure } from '@hallpass/service-kit/peers'
import { socketHost } from '@hallpass/untrusted/address'
import { parseJson, writeJson } from '@hallpass/untrusted/json'
import { checkPublications, JsonObjectError, PublicationError } from './publication/index.ts'

/** Why a publication was rejected. `code` is the server's error code, or `invalid` if nothing was sent. */
export class PublishError extends Error {
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'PublishError'
    this.code = code
  }
}

const PEER = 'sse-server'
/** The server answers within milliseconds, and waits at most two seconds for its log. */
const TIMEOUT_MS = 5_000
/** One error has a few hundred characters; only the first error is used. */
const MAX_ANSWER_CHARACTERS = 64 * 1024

/**
 * Checks that all JSON objects in a string can be published.
 * @throws {PublishError} `invalid`, describing the first one that cannot
 */
export function checkObjects(text: string): void {
  readObjects(text)
}

function readObjects(text: string): readonly Readonly<Record<string, unknown>>[] {
  try {
    return checkPublications(text)
  } catch (error) {
    if (error instanceof JsonObjectError || error instanceof PublicationError)
      throw new PublishError('invalid', error.message, error)
    throw error
  }
}

export interface PublishOverTcpOptions {
  /** `tcp://localhost:7001` */
  readonly url: string
  /** One or more JSON objects, as a string. */
  readonly objects: string
  readonly token?: string | undefined
}

/**
 * Publishes over TCP, and resolves when the server has read everything and closed the connection.
 * @throws {PublishError} with the first error that the server reported
 * @throws {PeerError} if it cannot be reached
 */
export async function publishOverTcp({ url, objects, token }: PublishOverTcpOptions): Promise<void> {
  const server = new URL(url)
  const authorization = token === undefined ? '' : `${JSON.stringify({ authorization: `Bearer ${token}` })}\n`
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = net.connect({ host: socketHost(server), port: Number(server.port), timeout: TIMEOUT_MS })
    socket.once('connect', () => socket.end(`${authorization}${objects}\n`))
    socket.once('timeout', () => socket.destroy(new AnswerTimeout()))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.length > MAX_ANSWER_CHARACTERS) socket.destroy()
    })
    socket.once('error', (cause) =>
      reject(peerFailure({ peer: PEER, address: url, timeoutMs: TIMEOUT_MS }, cause)),
    )
    socket.once('close', () => resolve(text))
  })
  const [refusal] = answer.split('\n')
  if (refusal) throw refused(refusal)
}

export interface PublishOverHttpOptions {
  readonly baseUrl: string
  /** One or more JSON objects, as a string. Of several, all are published or none. */
  readonly objects: string
  readonly token?: string | undefined
  /** The CA certificates to trust for https, as PEM; by default the system's CAs. */
  readonly ca?: string | undefined
}

/**
 * Publishes over HTTP, and resolves to the IDs of the events, in order, once the log has stored them.
 * @throws {PublishError} with the error that the server reported
 * @throws {PeerError} if it cannot be reached
 */
export async function publishOverHttp({
  baseUrl,
  objects,
  token,
  ca,
}: PublishOverHttpOptions): Promise<readonly string[]> {
  const all = readObjects(objects)
  const tls = ca === undefined ? {} : { tls: { ca } }
  const http = await lazyPeerClient({ peer: PEER, baseUrl, timeoutMs: TIMEOUT_MS, ...tls })()
  const body = all.length === 1 ? objects : (writeJson(all) as string)
  const { status, data } = await http.post<string>('/publish', body, {
    responseType: 'text',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  })
  if (status !== 202) throw refused(data)
  try {
    const { id, ids } = parseJson(data) as { id?: unknown; ids?: unknown }
    return ((ids ?? [id]) as unknown[]).map(String)
  } catch {
    throw refused(data)
  }
}

/** Returns the server's error; the response of any other program is quoted. */
function refused(text: string): PublishError {
  try {
    const body = parseJson(text) as { error?: { code: string; message: string }; message?: string }
    if (typeof body.error?.code === 'string') return new PublishError(body.error.code, body.error.message)
    if (typeof body.message === 'string') return new PublishError('refused', body.message)
  } catch {
    // Not JSON, so it is not an SSE server.
  }
  return new PublishError('refused', `The response is not from an SSE server: ${text.slice(0, 100)}`)
}
