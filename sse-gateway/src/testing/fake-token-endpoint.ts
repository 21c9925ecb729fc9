import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

export interface TokenRequest {
  readonly headers: IncomingHttpHeaders
  readonly form: Readonly<Record<string, string>>
}

/** A token endpoint that issues `token-1`, `token-2`, … to everyone. */
export class FakeTokenEndpoint {
  readonly requests: TokenRequest[] = []
  /** What it answers; by default a token that is valid for an hour. */
  answer: (count: number) => { readonly status?: number; readonly body: unknown } = (count) => ({
    body: { access_token: `token-${count}`, token_type: 'Bearer', expires_in: 3_600 },
  })
  readonly #server: Server = createServer(async (request, response) => {
    const form = Object.fromEntries(new URLSearchParams(await text(request)))
    this.requests.push({ headers: request.headers, form })
    const { status = 200, body } = this.answer(this.requests.length)
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Makes it issue tokens with this lifetime; `undefined`: it does not tell. */
  issue(expires_in: number | undefined): void {
    this.answer = (count) => ({ body: { access_token: `token-${count}`, token_type: 'bearer', expires_in } })
  }
}
