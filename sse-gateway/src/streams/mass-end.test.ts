import { describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Answer } from '../testing/stream-client.ts'

const gateway = useGateway()
const STREAMS = 200
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function openMany(sub = 'example'): Promise<Answer[]> {
  const connections = [await gateway.connect(), await gateway.connect()]
  const headers = bearer(await gateway.token({ sub }))
  return Promise.all(
    Array.from({ length: STREAMS }, (_, index) =>
      (connections[index % 2] as (typeof connections)[0]).request('/events', { headers }),
    ),
  )
}

const challenged = (streams: readonly Answer[]) =>
  streams.filter(({ events }) => events.some(({ event }) => event === 'challenge')).length

describe('many streams with one expiry', () => {
  it('are challenged within 2.5 s before the documented time, none after it, and end with the reason', async () => {
    await gateway.start({ MAX_STREAMS_PER_SUBJECT: `${STREAMS}` })
    const started = gateway.clock.now()
    const streams = await openMany()
    const dueAt = Math.floor(started / 1_000) * 1_000 + 20_000
    const count = await gateway.request('/streams', {
      headers: bearer(await gateway.token({ sub: 'operator', scope: 'stream:revoke' })),
    })
    const times = (count.json as { open: { challengeAt: string }[] }).open.map(({ challengeAt }) =>
      Date.parse(challengeAt),
    )
    expect([Math.min(...times) >= dueAt - 2_500, Math.max(...times)]).toEqual([true, dueAt])
    expect(times.filter((time) => time === dueAt).length).toBe(25)
    gateway.clock.advance(dueAt - 2_501 - started)
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect(challenged(streams)).toBe(0)
    gateway.clock.advance(2_501)
    await gateway.until(() => challenged(streams) === STREAMS)
    gateway.clock.advance(10_000)
    await Promise.all(streams.map((stream) => stream.end()))
    for (const stream of streams) expect(stream.seen.at(-1)).toBe('end:{"reason":"token_expired"}')
  })

  it('end when their subject is revoked, and those of another subject do not', async () => {
    await gateway.start({ MAX_STREAMS_PER_SUBJECT: `${STREAMS}` })
    const other = await gateway.open(await gateway.token({ sub: 'bob' }))
    const streams = await openMany('alice')
    const revoked = await gateway.request('/revocations', {
      method: 'POST',
      headers: bearer(await gateway.token({ sub: 'operator', scope: 'stream:revoke' })),
      body: JSON.stringify({ sub: 'alice' }),
    })
    expect(revoked.status).toBe(204)
    await Promise.all(streams.map((stream) => stream.end()))
    for (const stream of streams) expect(stream.seen).toEqual(['end:{"reason":"token_revoked"}'])
    expect(other.ended).toBe('no')
  })

  it('are revoked by the token that extended them, and no longer by the one that opened them', async () => {
    await gateway.start()
    const connection = await gateway.connect()
    const first = await gateway.token()
    const second = await gateway.token({}, { lifetimeSeconds: 60 })
    const stream = await connection.request('/events', { headers: bearer(first) })
    const answer = await connection.request('/events', {
      method: 'POST',
      headers: { ...bearer(second), 'content-type': 'application/x-challenge-response' },
    })
    expect(answer.status).toBe(204)
    const operator = bearer(await gateway.token({ sub: 'operator', scope: 'stream:revoke' }))
    const revoke = (token: string) => {
      const { jti } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
      return gateway.request('/revocations', {
        method: 'POST',
        headers: operator,
        body: JSON.stringify({ jti }),
      })
    }
    expect((await revoke(first)).status).toBe(204)
    gateway.upstream.send('data:still open\n\n')
    await stream.until(({ seen }) => seen.includes('still open'))
    expect((await revoke(second)).status).toBe(204)
    await stream.end()
    expect(stream.seen.at(-1)).toBe('end:{"reason":"token_revoked"}')
  })

  it('end with the reason when the gateway stops, and when the upstream is given up', async () => {
    await gateway.start({ MAX_STREAMS_PER_SUBJECT: `${STREAMS}`, UPSTREAM_GRACE_SECONDS: '0' })
    const lost = await openMany()
    gateway.upstream.streams[0]?.end()
    await Promise.all(lost.map((stream) => stream.end()))
    for (const stream of lost) expect(stream.seen).toEqual(['end:{"reason":"upstream_ended"}'])
    const streams = await openMany()
    await gateway.stopServices()
    await Promise.all(streams.map((stream) => stream.end()))
    for (const stream of streams) expect(stream.seen).toEqual(['end:{"reason":"shutting_down"}'])
  })
})
