import type { Readable } from 'node:stream'
import { PeerError } from '@hallpass/service-kit'
import type { Request, RequestHandler, Response } from 'express'
import {
  GATEWAY,
  type GatewayStreams,
  HEARTBEAT_MS,
  type Missing,
  type PathWatch,
  SERVER,
  TOO_MANY_WATCHERS,
} from './gateway/index.ts'

/** An id of an event of the suite is two numbers; anything longer is not one. */
const EVENT_ID = /^[\w.:-]{1,64}$/

export type WatcherOf = (request: Request, response: Response) => Promise<string>

/**
 * `GET /explorer/hops`: the stream of hops through the gateway, byte for byte, under a token that this service holds
 * for the watcher. `stream` names it, so that the page can answer its challenges. Then, each second, a `heartbeat` says
 * that the whole way of the hops answers, or `away` which part of it does not: an EventSource shows a script neither comments
 * nor the status of a refusal, so all of that is events.
 */
export function watchHops(streams: GatewayStreams, path: PathWatch, watcherOf: WatcherOf): RequestHandler {
  return async (request, response) => {
    const watcher = await watcherOf(request, response)
    const last = request.get('last-event-id') ?? request.query.since
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    // Before the gateway answers, which may take it seconds: the page must not wait for that to hear who is missing.
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

/** `POST /explorer/hops/:stream`: the page answers a challenge; the token for it is made here. */
export function renewHops(streams: GatewayStreams, watcherOf: WatcherOf): RequestHandler {
  return async (request, response) => {
    const watcher = await watcherOf(request, response)
    response.status(await streams.renew(watcher, String(request.params.stream))).end()
  }
}

const event = (type: string, data: unknown) => `event:${type}\ndata:${JSON.stringify(data)}\n\n`

const beat = (missing: Missing) =>
  missing ? event('away', { who: missing }) : event('heartbeat', { everyMs: HEARTBEAT_MS })

/** The gateway speaks for the server behind it: its own refusals have other codes. */
const awayBy = ({ code, message }: PeerError) => ({
  who: code === 'upstream_away' ? SERVER : code === TOO_MANY_WATCHERS ? 'full' : GATEWAY,
  message,
})

/** What this service says itself must not fall into an event of the gateway that has come half. */
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
