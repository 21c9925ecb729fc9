import { type Handler, HttpError } from '@hallpass/service-kit'

/**
 * Rejects requests from other origins, except links: no forms, fetch, EventSource or frames. Cookies ignore ports, and for
 * `SameSite` two ports of localhost are the same site, so it checks the browser's Fetch Metadata.
 */
export function isolate(baseUrl: string): Handler {
  const own = new URL(baseUrl).origin
  return (request, response, next) => {
    response.vary('Sec-Fetch-Site')
    response.vary('Origin')
    const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest, origin } = request.headers
    const foreign = site !== undefined && site !== 'same-origin' && site !== 'none'
    const followsLink = request.method === 'GET' && mode === 'navigate' && dest === 'document'
    // Browsers without Fetch Metadata still send the origin of requests that can change data (Fetch Standard §3.1).
    const changes = request.method !== 'GET' && request.method !== 'HEAD'
    if ((foreign && !followsLink) || (changes && origin !== undefined && origin !== own))
      throw new HttpError(403, 'foreign_origin', 'Requests from other origins are rejected.')
    next()
  }
}
