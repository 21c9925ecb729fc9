import http from 'node:http'
import express, { type Express } from 'express'

export interface ExpressApp {
  readonly app: Express
  /** For `createServer`: the classes that Node instantiates for the requests and responses of this app. */
  readonly classes: {
    readonly IncomingMessage: typeof http.IncomingMessage
    readonly ServerResponse: typeof http.ServerResponse
  }
}

/**
 * Creates an Express app, and request and response classes that halve its overhead: Express changes the prototype of
 * every request and response, and V8 is slow with objects whose prototype has changed. A server that creates them with
 * that prototype leaves Express nothing to change (docs/decisions/011-one-router.md).
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
