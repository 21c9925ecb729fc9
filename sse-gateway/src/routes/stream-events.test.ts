import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

describe.each(['h2', 'http/1.1'] as const)('GET /events over %s', (protocol) => {
  it('T01: sends what is published, challenges ten seconds before the expiry, and ends at the expiry', async () => {
    const token = await gateway.token()
    const stream = await gateway.request(`/events?access_token=${token}`, {}, protocol)
    expect(stream.status).toBe(200)
    gateway.upstream.send('data:Hello, world Wed Aug 29 9:05:52 PDT 2022\n\n')
    await stream.until(({ text }) => text === 'data:Hello, world Wed Aug 29 9:05:52 PDT 2022\n\n')
    gateway.clock.advance(19_999)
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(stream.events).toHaveLength(1)
    gateway.clock.advance(1)
    await stream.event('challenge')
    expect(stream.text.split('\n\n', 2)[1] + '\n\n').toBe(
      'event:challenge\ndata:{"method":"POST","headers":{"content-type":"application/x-challenge-response"}}\n\n',
    )
    gateway.clock.advance(10_000)
    await stream.end()
    expect(stream.ended).toBe('cleanly')
    expect(stream.seen.at(-1)).toBe('end:{"reason":"token_expired"}')
  })
})
