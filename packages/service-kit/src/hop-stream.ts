import { connect, type Socket } from 'node:net'
import type { HopEvent, HopPublisher } from './hops.ts'

/** About a second of a busy suite; beyond it the newest events are dropped, not the service's memory spent. */
const MAX_WAITING_BYTES = 1024 * 1024
const RECONNECT_MS = 1_000

/**
 * Sends hop events to the SSE server's TCP port as one JSON object a line, under the topic `hops`.
 * Fire and forget: while the server is away, events are dropped and the connection is tried again each second.
 */
export function streamHops(url: string): { readonly publish: HopPublisher; stop(): void } {
  const { hostname, port } = new URL(url)
  let socket: Socket | undefined
  let connected = false
  let stopped = false
  let lines: string[] = []

  function open() {
    if (stopped) return
    socket = connect({ host: hostname, port: Number(port), noDelay: true })
    socket.on('connect', () => {
      connected = true
    })
    // The server's answers are of no interest here.
    socket.resume()
    socket.on('error', () => {})
    socket.on('close', () => {
      connected = false
      setTimeout(open, RECONNECT_MS).unref()
    })
    // Telling about requests must not keep a process alive.
    socket.unref()
  }

  function flush() {
    const batch = lines.join('')
    lines = []
    if (connected && socket && socket.writableLength < MAX_WAITING_BYTES) socket.write(batch)
  }

  open()
  return {
    publish: (event: HopEvent) => {
      if (!connected) return
      if (lines.length === 0) setImmediate(flush)
      lines.push(`${JSON.stringify({ event: 'hop', topic: 'hops', data: event })}\n`)
    },
    stop: () => {
      stopped = true
      socket?.destroy()
    },
  }
}
