import { rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
const HOUR = { lifetimeSeconds: 3_600 }
const WITHDRAWN = 'end:{"reason":"key_withdrawn"}'
const PLAIN = 'http://localhost:1'

let old: SigningKey
let young: SigningKey
beforeAll(async () => {
  old = await generateSigningKey('ES256', 'old')
  young = await generateSigningKey('ES256', 'young')
})
let server: Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A gateway with a JWKS file, and what writes it. */
async function withFile() {
  const file = join(gateway.stateFolder, 'withdrawn.json')
  const publish = (...keys: SigningKey[]) => writeFile(file, JSON.stringify(publicJwks(keys)))
  await publish(old, young)
  await gateway.start({ JWKS_FILE: file })
  return { file, publish }
}

const openWith = async (key: SigningKey, claims = {}) =>
  gateway.open(await gateway.token(claims, { key, ...HOUR }))

describe('a stream whose key has left the key set', () => {
  it('closes within six seconds if the set is a file, although nobody connects; other streams stay', async () => {
    const { publish } = await withFile()
    const streams = [await openWith(old), await openWith(young)]
    await publish(young)
    gateway.clock.advance(6_000)
    await streams[0]?.end()
    expect([streams[0]?.ended, streams[0]?.seen]).toEqual(['cleanly', [WITHDRAWN]])
    expect(streams[1]?.ended).toBe('no')
    const metrics = await gateway.request('/metrics')
    expect(metrics.text).toMatch(/sse_streams_ended_total\{path="\/events",reason="key_withdrawn"[^}]*\} 1/)
  })

  it('closes if a ticket opened it, also if the key left while the ticket was unused', async () => {
    const { publish } = await withFile()
    const ticket = async () => {
      const headers = { authorization: `Bearer ${await gateway.token({}, { key: old, ...HOUR })}` }
      return (await gateway.request('/tickets', { method: 'POST', headers })).json.ticket
    }
    const [early, late] = [await ticket(), await ticket()]
    const streams = [await gateway.request(`/events?ticket=${early}`)]
    await publish(young)
    gateway.clock.advance(6_000)
    await streams[0]?.end()
    streams.push(await gateway.request(`/events?ticket=${late}`))
    gateway.clock.advance(2_000)
    await streams[1]?.end()
    expect(streams.map(({ status, seen }) => [status, seen])).toEqual([
      [200, [WITHDRAWN]],
      [200, [WITHDRAWN]],
    ])
  })

  it('closes if the key was replaced under its kid', async () => {
    const { publish } = await withFile()
    const stream = await openWith(old)
    await publish({ ...young, kid: 'old' })
    gateway.clock.advance(6_000)
    await stream.end()
    expect(stream.seen).toEqual([WITHDRAWN])
  })

  it('stays if it was extended with a token of another key, and a token of the old one extends nothing', async () => {
    const { publish } = await withFile()
    const stream = await openWith(old)
    const answer = async (key: SigningKey, lifetimeSeconds: number) => {
      const response = await gateway.request('/events', {
        method: 'POST',
        headers: {
          authorization: `Bearer ${await gateway.token({}, { key, lifetimeSeconds })}`,
          'content-type': 'application/x-challenge-response',
          'stream-handle': String(stream.headers['stream-handle']),
        },
      })
      return response.status
    }
    expect(await answer(young, 4_000)).toBe(204)
    await publish(young)
    gateway.clock.advance(6_000)
    expect(await answer(old, 5_000)).toBe(401)
    const next = await openWith(young)
    expect([stream.ended, next.ended]).toEqual(['no', 'no'])
    gateway.clock.advance(2_000)
    expect(await answer(young, 6_000)).toBe(204)
  })

  it('closes within five minutes if the set is published at a URL, although nobody connects', async () => {
    let published = [old, young]
    let loads = 0
    server = createServer((_request, response) => {
      loads += 1
      response.end(JSON.stringify(publicJwks(published)))
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await gateway.start({ ISSUER: PLAIN, JWKS_URL: `http://127.0.0.1:${port}/jwks.json` })
    const [stream, other] = [await openWith(old, { iss: PLAIN }), await openWith(young, { iss: PLAIN })]
    published = [young]
    gateway.clock.advance(3 * 60_000)
    gateway.clock.advance(2 * 60_000)
    await stream.end()
    expect([stream.seen, other.ended]).toEqual([[WITHDRAWN], 'no'])
    expect(loads).toBe(2)
  })

  it('stays while the set cannot be loaded, until its keys are distrusted', async () => {
    const { file, publish } = await withFile()
    const stream = await openWith(old)
    await rm(file)
    gateway.clock.advance(9_000)
    await gateway.until(() => gateway.log.includes('published keys cannot be loaded'))
    expect(stream.ended).toBe('no')
    await publish(old, young)
    gateway.clock.advance(2_000)
    await gateway.until(() => gateway.log.includes('published keys are loaded again'))
    expect(stream.ended).toBe('no')
    await rm(file)
    gateway.clock.advance(13_000)
    await stream.end()
    expect(stream.seen).toEqual([WITHDRAWN])
  })
})
