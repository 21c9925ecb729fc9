import http from 'node:http'
import express, { type Express } from 'express'

export interface ExpressApp {
  readonly app: Express
  /** For `createServer`: the classes of which Node makes the requests and responses of this app. */
  readonly classes: {
    readonly IncomingMessage: typeof http.IncomingMessage
    readonly ServerResponse: typeof http.ServerResponse
  }
}

/**
 * Creates an Express app, and the classes that spare it half of its time: Express gives every request and response a
 * prototype of its own, and V8 is slow with an object whose prototype has changed. A server that makes them with that
 * prototype leaves Express nothing to change (docs/decisions/011-one-router.md).
 */
export function expressApp(): ExpressApp {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.set('query parser', 'simple')

  class IncomingMessage extends http.IncomingMessage {}
  class ServerResponse<R extends http.IncomingMessage> extends http.ServerResponse<R> {}
  Object.setPrototypeOf(IncomingMessage.prototype, app.request)
  Object.setPrototypeOf(ServerResponse.prototype, app.response)
  app.request = IncomingMessage.prototype as Express['request']
  app.response = ServerResponse.prototype as unknown as Express['response']
  return { app, classes: { IncomingMessage, ServerResponse } }
}
