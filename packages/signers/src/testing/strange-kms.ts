import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { KmsOptions } from '../aws-kms/index.ts'

/** What a call gets: `undefined` for no answer, a string for a body that is not JSON. */
export type StrangeAnswer = { readonly status?: number; readonly body: unknown } | undefined

/** An endpoint that answers KMS calls as a test says, for answers that neither AWS nor moto gives on request. */
export class StrangeKms {
  readonly calls: string[] = []
  answer: (call: string, input: Record<string, string>) => StrangeAnswer = () => undefined
  readonly #server = createServer((request, response) => void this.#respond(request, response))

  async start(): Promise<KmsOptions> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return {
      region: 'eu-central-1',
      endpoint: `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`,
    }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #respond(request: IncomingMessage, response: ServerResponse) {
    let text = ''
    for await (const chunk of request) text += chunk
    const call = String(request.headers['x-amz-target']).replace('TrentService.', '')
    this.calls.push(call)
    const answer = this.answer(call, JSON.parse(text))
    if (!answer) return
    const { status = 200, body } = answer
    response
      .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
      .end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

/** An error as KMS writes it. */
export const kmsError = (type: string, message = 'secret detail arn:aws:iam::123456789012:role/x') => ({
  status: 400,
  body: { __type: type, message },
})
