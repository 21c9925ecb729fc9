import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from '@jest/globals'

export interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly service: string
}

/** An OpenTelemetry collector: OTLP over HTTP, as JSON. */
export class Collector {
  readonly spans: Span[] = []
  readonly #server: Server

  constructor() {
    this.#server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
        const name = resource.attributes.find(({ key }: { key: string }) => key === 'service.name')
        for (const { spans } of scopeSpans)
          for (const span of spans) this.spans.push({ ...span, service: name.value.stringValue })
      }
      response.setHeader('content-type', 'application/json').end('{}')
    })
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async until(condition: (spans: readonly Span[]) => boolean): Promise<void> {
    const deadline = Date.now() + 10_000
    while (!condition(this.spans) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20))
    expect(condition(this.spans)).toBe(true)
  }

  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
