import { once } from 'node:events'
import net from 'node:net'
import { silentLog } from '@hallpass/service-kit'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { openStream, sendTcp } from '../testing/stream-reader.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function start(env: Record<string, string> = {}) {
  const service = createApp(loadConfig({ HTTP_PORT: '0', TCP_PORT: '0', ...env }), silentLog)
  const { http = '', tcp = '' } = await service.start()
  stops.push(() => service.stop())
  return {
    http,
    tcp,
    publish: (objects: readonly object[]) => sendTcp(tcp, ...objects.map((object) => JSON.stringify(object))),
    figure: async (name: string) => {
      const text = await (await fetch(`${http}/metrics`)).text()
      return Number(new RegExp(`^${name}\\{.*\\} (\\S+)$`, 'm').exec(text)?.[1] ?? 0)
    },
  }
}

async function listen(url: string, headers: Record<string, string> = {}) {
  const reader = await openStream(url, headers)
  stops.push(() => reader.close())
  return reader
}

/** Requests a stream and never reads it. */
async function deafClient(url: string, path = '/events') {
  const socket = net.connect(Number(new URL(url).port), 'localhost')
  stops.push(() => socket.destroy())
  await once(socket, 'connect')
  socket.pause()
  socket.on('error', () => {})
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
}

const big = (count: number, bytes: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({
    id: `${from + index}`,
    data: `${from + index}:`.padEnd(bytes, 'x'),
  }))

async function until(condition: () => Promise<boolean>) {
  const deadline = performance.now() + 5_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`timed out waiting for ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('StreamHub', () => {
  it('drops clients that do not read, and delivers every event to the others', async () => {
    const { http, publish, figure } = await start({ MAX_UNSENT_BYTES: '65536' })
    const reader = await listen(http)
    for (let index = 0; index < 20; index += 1) await deafClient(http)
    await until(async () => (await figure('sse_clients')) === 21)
    await publish(big(100, 100_000))
    await reader.until(({ events }) => events.length === 100)
    expect(reader.events.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`))
    await until(async () => (await figure('sse_clients')) === 1)
    expect(await figure('sse_dropped_clients_total')).toBe(20)
  })

  it('streams events of the maximum size without dropping a client', async () => {
    const { http, publish, figure } = await start()
    const reader = await listen(http)
    const data = 'x'.repeat(1024 * 1024 - 11)
    await publish([{ data }, { data }, { data: 'end' }])
    await reader.until(({ events }) => events.at(-1)?.data === 'end')
    expect(reader.data()).toEqual([data, data, 'end'])
    expect(await figure('sse_dropped_clients_total')).toBe(0)
  })

  it('drops a client that has read nothing for several heartbeats', async () => {
    const { http, publish, figure } = await start({ HEARTBEAT_MS: '20', MAX_UNSENT_BYTES: '1000000000' })
    await deafClient(http)
    await until(async () => (await figure('sse_clients')) === 1)
    await publish(big(100, 100_000))
    await until(async () => (await figure('sse_clients')) === 0)
    expect(await (await fetch(`${http}/metrics`)).text()).toContain(
      'sse_dropped_clients_total{reason="stalled",service="sse-server"} 1',
    )
  })

  it('sends heartbeats on an idle stream', async () => {
    const { http } = await start({ HEARTBEAT_MS: '10' })
    const reader = await listen(http)
    await reader.until(({ comments }) => comments.length >= 2)
    expect(reader.text).toMatch(/^retry:2000\n\n(:\n\n)+$/)
  })

  it('replays more than fits into a connection, at the client’s pace, and then continues live', async () => {
    const { http, publish } = await start({ MAX_UNSENT_BYTES: '65536' })
    await publish(big(150, 100_000))
    const reader = await listen(http, { 'last-event-id': '0' })
    await publish([{ id: 'live', data: 'live' }])
    await reader.until(({ events }) => events.at(-1)?.id === 'live')
    expect(reader.events.map(({ id }) => id)).toEqual([
      ...Array.from({ length: 149 }, (_, index) => `${index + 1}`),
      'live',
    ])
  })

  it('sends a gap to a replaying client whose next events were dropped', async () => {
    const { http, publish, figure } = await start({ MAX_UNSENT_BYTES: '65536', RING_BYTES: '15000000' })
    await publish([{ id: 'first', data: 'x' }, ...big(140, 100_000)])
    const reader = await listen(http, { 'last-event-id': 'first' })
    reader.response.pause()
    // The ring holds 150 of them, so these replace the first ones.
    await publish(big(150, 100_000, 140))
    await until(async () => (await figure('sse_events_total')) === 291)
    await publish([{ id: 'live', data: 'live' }])
    reader.response.resume()
    await reader.until(({ events }) => events.at(-1)?.id === 'live')
    expect(reader.events.filter(({ event }) => event === 'gap')).toHaveLength(1)
    expect(reader.ended).toBe('no')
  })

  it('sends the events of one event-loop turn in one write', async () => {
    const { http, tcp } = await start()
    const reader = await listen(http)
    await reader.until(({ retries }) => retries.length === 1)
    const chunks: string[] = []
    reader.response.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
    await sendTcp(tcp, '{"data":"x"}'.repeat(10))
    await reader.until(({ events }) => events.length === 10)
    expect(chunks).toHaveLength(1)
  })

  it('removes a client that has disconnected', async () => {
    const { http, figure } = await start()
    const reader = await listen(`${http}/topics/a`)
    await until(async () => (await figure('sse_clients')) === 1)
    reader.close()
    await until(async () => (await figure('sse_clients')) === 0)
  })
})
