import type { RequestHandler } from 'express'
import type { Bundles } from '../bundles/index.ts'

/** `GET /bundle`: returns our bundle in the SPIFFE bundle format; other agents need it to start federating. */
export function showBundle(bundles: Bundles): RequestHandler {
  return (_request, response) => {
    response.set('content-type', 'application/json').send(bundles.own.toJson())
  }
}
