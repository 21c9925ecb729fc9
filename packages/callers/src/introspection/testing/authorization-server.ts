import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An authorization server with an introspection endpoint (RFC 7662) on a port of its own, whose tokens a test sets. */
export class TestAuthorizationServer {
  /** What it answers about each token; it says of all others that they are not active. */
  readonly tokens = new Map<string, object>()
  /** The tokens that it was asked about. */
  readonly asked: string[] = []
  /** The `Authorization` header of the last request. */
  authorization: string | undefined
  /** Answers instead of the endpoint, e.g. 503; undefined: the endpoint itself. */
  instead: ((response: ServerResponse) => void) | undefined
  /** Requests wait for it. */
  hold: Promise<void> | undefined
  readonly clientId = 'gateway'
  readonly secretFile: string
  readonly #folder: string
  #server: Server | undefined
  #port = 0

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'authorization-server-'))
    this.secretFile = join(this.#folder, 'client-secret')
    writeFileSync(this.secretFile, 'the secret of the gateway\n', { mode: 0o600 })
  }

  get issuer(): string {
    return `http://localhost:${this.#port}`
  }

  get url(): string {
    return `${this.issuer}/introspect`
  }

  /** Listens; after `stop`, on the same port again. */
  async start(): Promise<this> {
    const server = createServer((request, response) => void this.#answer(request, response))
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
    return this
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true })
  }

  /** Forgets all tokens and requests. */
  reset(): void {
    this.tokens.clear()
    this.asked.length = 0
    this.instead = undefined
    this.hold = undefined
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    for await (const chunk of request) body += chunk
    const token = new URLSearchParams(body).get('token') ?? ''
    this.asked.push(token)
    this.authorization = request.headers.authorization
    await this.hold
    if (this.instead) return this.instead(response)
    response.setHeader('content-type', 'application/json')
    const known = this.tokens.get(token)
    response.end(JSON.stringify(known ? { active: true, ...known } : { active: false }))
  }
}
