import type { Readable } from 'node:stream'
import { type Handler, PeerError } from '@hallpass/service-kit'
import type { Request, Response } from 'express'
import {
  GATEWAY,
  type GatewayStreams,
  HEARTBEAT_MS,
  type Missing,
  type PathWatch,
  SERVER,
  TOO_MANY_WATCHERS,
} from '../gateway/index.ts'

/** An event ID of the suite consists of two numbers; anything longer is invalid. */
const EVENT_ID = /^[\w.:-]{1,64}$/

export type WatcherOf = (request: Request, response: Response) => Promise<string>

/**
 * `GET /explorer/hops`: returns the stream of hops from the gateway, byte for byte, under a token that this service
 * holds for the watcher. Its first event, `stream`, names it, so that the page can answer its challenges. Then, every
 * second, a `heartbeat` event reports that the whole path of the hops responds, or an `away` event which service does
 * not. All of that is sent as events, because an EventSource shows a script neither comments nor the status of a
 * rejection.
 */
export function watchHops(streams: GatewayStreams, path: PathWatch, watcherOf: WatcherOf): Handler {
  return async (request, response) => {
    const watcher = await watcherOf(request, response)
    const last = request.get('last-event-id') ?? request.query.since
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    // Before the gateway answers, which may take seconds: the page must not wait that long to learn who is missing.
    let tell = (text: string): void => void response.write(text)
    const unsubscribe = path.subscribe((missing) => tell(beat(missing)))
    response.on('close', unsubscribe)
    const opened = await streams
      .open(watcher, typeof last === 'string' && EVENT_ID.test(last) ? last : undefined)
      .catch((error: unknown) => {
        if (error instanceof PeerError) return error
        unsubscribe()
        response.destroy()
        throw error
      })
    if (opened instanceof PeerError) return void response.end(event('away', awayBy(opened)))
    const { id, events } = opened
    if (response.closed) return void events.destroy()
    response.on('close', () => events.destroy())
    response.write(event('stream', { id, heartbeatMs: HEARTBEAT_MS }))
    tell = betweenEvents(events, response)
    events.on('error', () => response.end(event('away', { who: GATEWAY })))
    events.pipe(response)
  }
}

/** `POST /explorer/hops/:stream`: answers a challenge for the page; the token for it is issued here. */
export function renewHops(streams: GatewayStreams, watcherOf: WatcherOf): Handler {
  return async (request, response) => {
    const watcher = await watcherOf(request, response)
    response.status(await streams.renew(watcher, String(request.params.stream))).end()
  }
}

const event = (type: string, data: unknown) => `event:${type}\ndata:${JSON.stringify(data)}\n\n`

const beat = (missing: Missing) =>
  missing ? event('away', { who: missing }) : event('heartbeat', { everyMs: HEARTBEAT_MS })

/**
 * Returns which service is unavailable. The gateway reports the server behind it; its own rejections have other codes.
 */
const awayBy = ({ code, message }: PeerError) => ({
  who: code === 'upstream_away' ? SERVER : code === TOO_MANY_WATCHERS ? 'full' : GATEWAY,
  message,
})

/** Returns a writer for events of this service that never writes into a half-received event of the gateway. */
function betweenEvents(events: Readable, response: Response): (text: string) => void {
  let end = '\n\n'
  let waiting = ''
  events.on('data', (chunk: Buffer) => {
    end = (end + chunk.subarray(-2).toString('latin1')).slice(-2)
    if (waiting && end === '\n\n') response.write(waiting)
    if (end === '\n\n') waiting = ''
  })
  return (text) => {
    if (end === '\n\n') response.write(text)
    else waiting += text
  }
}
