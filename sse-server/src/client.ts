import net from 'node:net'
import { socketHost } from '@hallpass/untrusted/address'
import { parseJson } from '@hallpass/untrusted/json'

/** What was not published, and why: the server's own code, or `unreachable`. */
export class PublishError extends Error {
  readonly code: string

  constructor(code: string, message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'PublishError'
    this.code = code
  }
}

/** The server answers within milliseconds, and waits at most two seconds for its log. */
const TIMEOUT_MS = 5_000
/** One refusal has some hundred characters; the first one is all that is looked at. */
const MAX_ANSWER_CHARACTERS = 64 * 1024

export interface PublishOverTcpOptions {
  /** `tcp://localhost:7001` */
  readonly url: string
  /** One JSON object or several, as text. */
  readonly objects: string
  readonly token?: string | undefined
}

/**
 * Resolves when the server has read everything and closed.
 * @throws {PublishError} with the first refusal that it answered.
 */
export async function publishOverTcp({ url, objects, token }: PublishOverTcpOptions): Promise<void> {
  const server = new URL(url)
  const authorization = token === undefined ? '' : `${JSON.stringify({ authorization: `Bearer ${token}` })}\n`
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = net.connect({ host: socketHost(server), port: Number(server.port), timeout: TIMEOUT_MS })
    socket.once('connect', () => socket.end(`${authorization}${objects}\n`))
    socket.once('timeout', () => socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.length > MAX_ANSWER_CHARACTERS) socket.destroy()
    })
    socket.once('error', (error: NodeJS.ErrnoException) => reject(unreachable(url, error)))
    socket.once('close', () => resolve(text))
  })
  const [refusal] = answer.split('\n')
  if (refusal) throw refused(refusal)
}

export interface PublishOverHttpOptions {
  readonly baseUrl: string
  /** One JSON object, as text. */
  readonly object: string
  readonly token?: string | undefined
}

/**
 * Resolves with the id of the event once the log has it.
 * @throws {PublishError}
 */
export async function publishOverHttp({ baseUrl, object, token }: PublishOverHttpOptions): Promise<string> {
  let text: string
  let status: number
  try {
    const response = await fetch(`${baseUrl.replace(/\/$/, '')}/publish`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: object,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    status = response.status
    text = await response.text()
  } catch (error) {
    throw unreachable(baseUrl, (error as Error).cause ?? error)
  }
  if (status !== 202) throw refused(text)
  try {
    return String((parseJson(text) as { id: unknown }).id)
  } catch {
    throw refused(text)
  }
}

function unreachable(url: string, cause: unknown): PublishError {
  const { code, name, message } = cause as { code?: unknown; name?: string; message?: string }
  const why =
    typeof code === 'string' ? code : name === 'TimeoutError' ? `no answer within ${TIMEOUT_MS} ms` : message
  return new PublishError('unreachable', `The SSE server at ${url} is not reachable (${why}).`, cause)
}

/** The server's words; whatever else answers at this address is shown as it is. */
function refused(text: string): PublishError {
  try {
    const body = parseJson(text) as { error?: { code: string; message: string }; message?: string }
    if (typeof body.error?.code === 'string') return new PublishError(body.error.code, body.error.message)
    if (typeof body.message === 'string') return new PublishError('refused', body.message)
  } catch {
    // No JSON, so it is not the SSE server.
  }
  return new PublishError('refused', `The answer is not that of an SSE server: ${text.slice(0, 100)}`)
}
