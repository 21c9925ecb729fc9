import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SpiffeBundle } from '../spiffe-bundle/index.ts'

/** Makes a request handler for a bundle endpoint: it answers GET with the current bundle, on any server and path. */
export function serveBundle(current: () => SpiffeBundle) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
      return
    }
    const document = current().toJson()
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' })
    response.end(request.method === 'HEAD' ? undefined : document)
  }
}
