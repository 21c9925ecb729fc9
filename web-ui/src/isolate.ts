import { HttpError } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'

/**
 * Keeps other origins out. Cookies do not know ports, and to `SameSite` two ports of localhost are one site, so what
 * protects a laptop is what the browser says of each request (Fetch Metadata): another origin may lead here by a
 * link, and nothing else: no form, no fetch, no EventSource, no frame.
 */
export function isolate(baseUrl: string): RequestHandler {
  const own = new URL(baseUrl).origin
  return (request, response, next) => {
    response.vary('Sec-Fetch-Site')
    response.vary('Origin')
    const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest, origin } = request.headers
    const foreign = site !== undefined && site !== 'same-origin' && site !== 'none'
    const followsLink = request.method === 'GET' && mode === 'navigate' && dest === 'document'
    // Browsers without Fetch Metadata still name the origin of what may change something (Fetch Standard §3.1).
    const changes = request.method !== 'GET' && request.method !== 'HEAD'
    if ((foreign && !followsLink) || (changes && origin !== undefined && origin !== own))
      throw new HttpError(403, 'foreign_origin', 'Requests from other origins are rejected.')
    next()
  }
}
