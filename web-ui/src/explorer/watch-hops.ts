import type { Request, RequestHandler, Response } from 'express'
import type { GatewayStreams } from './gateway-streams.ts'

/** An id of an event of the suite is two numbers; anything longer is not one. */
const EVENT_ID = /^[\w.:-]{1,64}$/

export type WatcherOf = (request: Request, response: Response) => Promise<string>

/**
 * `GET /explorer/hops`: the stream of hops through the gateway, byte for byte, under a token that this service holds
 * for the watcher. The first event names the stream, so that the page can answer its challenges.
 */
export function watchHops(streams: GatewayStreams, watcherOf: WatcherOf): RequestHandler {
  return async (request, response) => {
    const watcher = await watcherOf(request, response)
    const last = request.get('last-event-id') ?? request.query.since
    const { id, events } = await streams.open(
      watcher,
      typeof last === 'string' && EVENT_ID.test(last) ? last : undefined,
    )
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    response.write(`event:stream\ndata:${JSON.stringify({ id })}\n\n`)
    response.on('close', () => events.destroy())
    events.on('error', () => response.end())
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
