import type { Handler } from '@hallpass/service-kit'
import type { Bundles } from '../bundles/index.ts'

/** `GET /bundle`: returns our bundle in the SPIFFE bundle format; other agents need it to start federating. */
export function showBundle(bundles: Bundles): Handler {
  return (_request, response) => {
    response.set('content-type', 'application/json').send(bundles.own.toJson())
  }
}
