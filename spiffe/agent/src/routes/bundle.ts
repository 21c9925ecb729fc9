import type { RequestHandler } from 'express'
import type { Bundles } from '../bundles/bundles.ts'

/** `GET /bundle`: everything that others must trust, in the SPIFFE bundle format; what a foreign agent starts from. */
export function showBundle(bundles: Bundles): RequestHandler {
  return (_request, response) => {
    response.set('content-type', 'application/json').send(bundles.own.toJson())
  }
}
