import { connect, type Socket } from 'node:net'
import { socketHost } from '@hallpass/untrusted/address'
import type { HopEvent, HopPublisher } from './hops.ts'

/** About a second of a busy suite; beyond it the newest events are dropped to bound the memory. */
const MAX_WAITING_BYTES = 1024 * 1024
/** Events that wait while the server is unavailable, about 2 KB each: enough for a few runs of a scenario. */
const MAX_WAITING_EVENTS = 128
const RECONNECT_MS = 1_000

/**
 * Sends hop events to the SSE server's TCP port under the topic `hops`, one JSON object per line.
 * Fire and forget: while the server is unavailable, the first events are queued, later ones are dropped, and the
 * connection is retried every second. Events are serialized after the request that they report has continued.
 */
export function streamHops(url: string): { readonly publish: HopPublisher; stop(): void } {
  const server = new URL(url)
  let socket: Socket | undefined
  let connected = false
  let stopped = false
  let waiting: HopEvent[] = []
  let flushing = false

  function open() {
    if (stopped) return
    socket = connect({ host: socketHost(server), port: Number(server.port), noDelay: true })
    socket.on('connect', () => {
      connected = true
      flush()
    })
    // The server's responses are not needed.
    socket.resume()
    socket.on('error', () => {})
    socket.on('close', () => {
      connected = false
      setTimeout(open, RECONNECT_MS).unref()
    })
    // Reporting hops must not keep a process alive.
    socket.unref()
  }

  function flush() {
    flushing = false
    if (!connected || !socket) return
    const events = waiting
    waiting = []
    if (socket.writableLength < MAX_WAITING_BYTES) socket.write(events.map(toLine).join(''))
  }

  open()
  return {
    publish: (event: HopEvent) => {
      if (!connected && waiting.length >= MAX_WAITING_EVENTS) return
      waiting.push(event)
      if (!connected || flushing) return
      flushing = true
      setImmediate(flush)
    },
    stop: () => {
      stopped = true
      socket?.destroy()
    },
  }
}

const toLine = (event: HopEvent) => `${JSON.stringify({ event: 'hop', topic: 'hops', data: event })}\n`
