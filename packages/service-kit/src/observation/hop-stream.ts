import { connect, type Socket } from 'node:net'
import { socketHost } from '@hallpass/untrusted/address'
import type { HopEvent, HopPublisher } from './hops.ts'

/** About a second of a busy suite; beyond it the newest events are dropped, not the service's memory spent. */
const MAX_WAITING_BYTES = 1024 * 1024
/** Events that wait while the server is away, about 2 KB each: the runs of a person who has not noticed. */
const MAX_WAITING_EVENTS = 128
const RECONNECT_MS = 1_000

/**
 * Sends hop events to the SSE server's TCP port as one JSON object a line, under the topic `hops`.
 * Fire and forget: while the server is away, the first events wait and the others are dropped, and the connection is
 * tried again each second. What is told is made into text when the request that it tells of has gone on.
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
