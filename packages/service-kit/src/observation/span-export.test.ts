import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import type { HopEvent } from './hops.ts'
import { exportSpans } from './span-export.ts'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Starts a collector that accepts OTLP over HTTP as JSON. */
async function startCollector() {
  const received: { path: string | undefined; body: string }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ path: request.url, body })
    response.setHeader('content-type', 'application/json').end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUps.push(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

const traceId = 'a'.repeat(32)
const common = { traceId, service: 'service-b', startedAt: 1_800_000_000_250, durationMs: 1.5 }
const request: HopEvent = {
  ...common,
  kind: 'request',
  spanId: 'b'.repeat(16),
  parentId: 'c'.repeat(16),
  method: 'GET',
  path: '/scenario1-server',
  status: 401,
}
const verification: HopEvent = {
  ...common,
  kind: 'verification',
  spanId: 'b'.repeat(16),
  parentId: 'c'.repeat(16),
  verdict: 'refused',
  reason: 'expired',
  token: { header: { kid: 'k1', alg: 'ES256' }, claims: { sub: 'servicea', aud: 'serviceb', jti: 'j1' } },
  checks: [{ name: 'expiry', passed: false, rule: 'RFC 7519 §4.1.4', detail: '4 s ago' }],
}

describe('exportSpans', () => {
  it('sends requests and verifications as spans with the ids of traceparent', async () => {
    const collector = await startCollector()
    const spans = exportSpans(collector.url, 'service-b')
    spans.publish(request)
    spans.publish(verification)
    await spans.stop()
    expect(collector.received.map(({ path }) => path)).toEqual(['/v1/traces'])
    const [{ resource, scopeSpans }] = JSON.parse(collector.received[0]?.body ?? '').resourceSpans
    expect(resource.attributes).toContainEqual({ key: 'service.name', value: { stringValue: 'service-b' } })
    const [served, verified] = scopeSpans[0].spans
    expect(served).toMatchObject({
      traceId,
      spanId: request.spanId,
      parentSpanId: request.parentId,
      name: 'GET /scenario1-server',
      kind: 2,
      startTimeUnixNano: '1800000000250000000',
      endTimeUnixNano: '1800000000251500000',
    })
    expect(served.attributes).toContainEqual({ key: 'http.response.status_code', value: { intValue: 401 } })
    expect(verified).toMatchObject({ traceId, parentSpanId: request.spanId, name: 'verify token: refused' })
    expect(verified.attributes).toContainEqual({ key: 'jwt.reason', value: { stringValue: 'expired' } })
    expect(verified.events[0]).toMatchObject({ name: 'check expiry' })
  })

  it('does not block if the collector is unavailable', async () => {
    const spans = exportSpans('http://127.0.0.1:1', 'service-b')
    for (let count = 0; count < 5_000; count += 1) spans.publish(request)
    const started = performance.now()
    await spans.stop()
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})
