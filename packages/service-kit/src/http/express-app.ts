import http from 'node:http'
import express, { type Express, type Request } from 'express'
import { HttpError, notFound } from '../errors.ts'

/** What is read of Express's router; its types leave out how a layer is matched. */
interface Layer {
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> }
  match(path: string): boolean
}

/** Returns the error for a request that no route answered: 405 if its path has other methods, else 404. */
export function noSuchEndpoint(request: Request): HttpError {
  const { method, path } = request
  const allow = allowedMethods(request.app as Express, path).join(', ')
  if (allow === '') return notFound('no_such_endpoint', `No such endpoint: ${method} ${path}`)
  const message = 'This path does not support this method. See the Allow header.'
  return new HttpError(405, 'method_not_allowed', message, { headers: { allow } })
}

/** Returns the methods of the routes that match a path, for the `Allow` header (RFC 9110 §10.2.1). */
function allowedMethods(app: Express, path: string): string[] {
  const layers = app.router.stack as unknown as readonly Layer[]
  const methods = layers.flatMap((layer) =>
    layer.route && layer.match(path) ? Object.keys(layer.route.methods) : [],
  )
  // Express answers HEAD by a route for GET.
  const all = new Set(methods.flatMap((method) => (method === 'get' ? ['get', 'head'] : [method])))
  return [...all].map((method) => method.toUpperCase()).sort()
}

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
