import { freePort } from '@hallpass/free-ports'
import { type HopEvent, publishHopsTo } from '@hallpass/service-kit'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

describe('the gateway as a service', () => {
  it.each(['h2', 'http/1.1'] as const)('answers probes over %s, on both ports', async (protocol) => {
    for (const url of [gateway.url, gateway.secondUrl]) {
      const connection = await gateway.connect(protocol, url)
      for (const path of ['/healthz', '/healthz/'])
        expect((await connection.request(path)).json).toEqual({ status: 'ok' })
      const ready = await connection.request('/readyz')
      expect([ready.status, ready.json]).toEqual([200, { status: 'ready' }])
    }
  })

  it('has its metrics only on METRICS_PORT, if that is set', async () => {
    const port = await freePort()
    await gateway.start({ METRICS_PORT: `${port}` })
    const url = `http://localhost:${port}/metrics`
    const scraped = await fetch(url)
    expect([scraped.status, await scraped.text()]).toEqual([
      200,
      expect.stringContaining('sse_upstream_flowing'),
    ])
    for (const path of ['/metrics', '/metrics/']) {
      const answer = await gateway.request(path)
      expect([answer.status, answer.json]).toEqual([
        404,
        {
          error: {
            code: 'metrics_elsewhere',
            message: 'The metrics are on a port of their own (METRICS_PORT).',
          },
        },
      ])
    }
    expect((await gateway.request('/readyz')).status).toBe(200)
    await gateway.stopServices()
    await expect(fetch(url)).rejects.toThrow('fetch failed')
  })

  it('rejects a target that does not begin with a slash', async () => {
    const answer = await gateway.request('*', { method: 'OPTIONS' })
    expect([answer.status, answer.json]).toEqual([
      400,
      { error: { code: 'malformed_target', message: 'The request target must begin with a slash.' } },
    ])
  })

  it('counts streams, events, deliveries, bytes and ends by reason', async () => {
    const [one, other] = [
      await gateway.open(await gateway.token()),
      await gateway.open(await gateway.token({ sub: 'other' }), 'http/1.1'),
    ]
    gateway.upstream.send('data:12345\n\n')
    await Promise.all([one, other].map((stream) => stream.until(({ events }) => events.length === 1)))
    const { text: open } = await gateway.request('/metrics')
    const value = (text: string, name: string, labels: string) =>
      new RegExp(`^${name}\\{[^}]*${labels}[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]
    expect(value(open, 'sse_streams', 'protocol="h2"')).toBe('1')
    expect(value(open, 'sse_streams', 'protocol="http/1.1"')).toBe('1')
    expect(value(open, 'sse_events_total', 'path="/events"')).toBe('1')
    expect(value(open, 'sse_deliveries_total', 'path="/events"')).toBe('2')
    expect(value(open, 'sse_bytes_total', 'path="/events"')).toBe(`${2 * 'data:12345\n\n'.length}`)
    expect(value(open, 'sse_upstream_flowing', 'path="/events"')).toBe('1')
    expect(open).toContain('sse_buffer_high_water_bytes')
    gateway.clock.advance(30_000)
    await Promise.all([one.end(), other.end()])
    const { text: ended } = await gateway.request('/metrics')
    expect(value(ended, 'sse_streams_ended_total', 'reason="token_expired"')).toBe('2')
    expect(value(ended, 'sse_streams_opened_total', 'path="/events"')).toBe('2')
    expect(value(ended, 'sse_streams', '')).toBeUndefined()
  })

  it('reports requests and verifications to the explorer, but never the token itself', async () => {
    const hops: HopEvent[] = []
    publishHopsTo((hop) => hops.push(hop))
    const token = await gateway.token()
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    await gateway.open(token, 'h2', { traceparent })
    await gateway.request('/events', { headers: { authorization: 'Bearer x.y.z', traceparent } })
    await gateway.until(() => hops.length === 5)
    expect(hops.map(({ kind, status, verdict, reason }) => ({ kind, status, verdict, reason }))).toEqual([
      { kind: 'verification', verdict: 'accepted' },
      // The first client of a path makes the gateway call its upstream.
      { kind: 'call', status: 200 },
      { kind: 'request', status: 200 },
      { kind: 'verification', verdict: 'refused', reason: 'header_malformed' },
      { kind: 'request', status: 401, reason: 'header_malformed' },
    ])
    for (const hop of hops) expect(hop.traceId).toBe('a'.repeat(32))
    for (const hop of hops.filter(({ kind }) => kind !== 'call'))
      expect(hop).toMatchObject({ service: 'sse-gateway', traceId: 'a'.repeat(32), parentId: 'b'.repeat(16) })
    expect(JSON.stringify(hops)).not.toContain(token.split('.')[2])
  })
  afterEach(() => publishHopsTo(undefined))
})
