import net from 'node:net'
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
  const { hostname, port } = new URL(url)
  const authorization = token === undefined ? '' : `${JSON.stringify({ authorization: `Bearer ${token}` })}\n`
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = net.connect({ host: hostname, port: Number(port), timeout: TIMEOUT_MS })
    socket.once('connect', () => socket.end(`${authorization}${objects}\n`))
    socket.once('timeout', () => socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
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
  let response: Response
  try {
    response = await fetch(`${baseUrl.replace(/\/$/, '')}/publish`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: object,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
  } catch (error) {
    throw unreachable(baseUrl, (error as Error).cause ?? error)
  }
  const text = await response.text()
  if (response.status !== 202) throw refused(text)
  return (parseJson(text) as { id: string }).id
}

function unreachable(url: string, cause: unknown): PublishError {
  const { code, message } = cause as { code?: string; message?: string }
  return new PublishError(
    'unreachable',
    `The SSE server at ${url} is not reachable (${code ?? message}).`,
    cause,
  )
}

/** The server's words; whatever else answers at this address is shown as it is. */
function refused(text: string): PublishError {
  try {
    const body = parseJson(text) as { error?: { code: string; message: string }; message?: string }
    if (body.error?.code !== undefined) return new PublishError(body.error.code, body.error.message)
    if (body.message !== undefined) return new PublishError('refused', body.message)
  } catch {
    // No JSON, so it is not the SSE server.
  }
  return new PublishError('refused', `The answer is not that of an SSE server: ${text.slice(0, 100)}`)
}
