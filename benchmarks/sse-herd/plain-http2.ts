import { readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'

/** The variables of this process. */
export interface PlainEnvironment {
  readonly PORT: string
  readonly CERT_FILE: string
  readonly KEY_FILE: string
  /** When each stream ends, in milliseconds since the epoch. */
  readonly EXPIRES_AT: string
}

/**
 * The simplest server with the same task: each stream is ended by a timer of its own at `EXPIRES_AT`,
 * with the bytes of the gateway's last event. It verifies no token and logs nothing.
 */
const { PORT, CERT_FILE, KEY_FILE, EXPIRES_AT } = process.env as unknown as PlainEnvironment
const LAST_EVENT = 'retry:3000\nevent:end\ndata:{"reason":"token_expired"}\n\n'

const server = createSecureServer({
  cert: readFileSync(CERT_FILE),
  key: readFileSync(KEY_FILE),
  settings: { maxConcurrentStreams: 1_000 },
})
server.on('stream', (stream, headers) => {
  stream.on('error', () => {})
  if (headers[':path'] === '/healthz') {
    stream.respond({ ':status': 200, 'content-type': 'application/json' })
    return stream.end('{"status":"ok"}')
  }
  stream.respond({ ':status': 200, 'content-type': 'text/event-stream' })
  setTimeout(() => stream.end(LAST_EVENT), Number(EXPIRES_AT) - Date.now())
})
server.listen(Number(PORT), 'localhost')
