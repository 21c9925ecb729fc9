import { HttpError, isLoopback } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'

/**
 * What is open to loopback is open to every web page in the developer's browser, too: by a form that posts to
 * localhost, or by a name of its own that it lets point to 127.0.0.1 (DNS rebinding). Both show in the headers.
 */
export const refuseForeignPages: RequestHandler = (request, _response, next) => {
  const { host, origin, 'sec-fetch-site': site } = request.headers
  if (host !== undefined && !isLocalUrl(`http://${host}`))
    throw new HttpError(403, 'foreign_host', 'This development service answers to localhost alone.')
  if ((origin !== undefined && !isLocalUrl(origin)) || site === 'cross-site')
    throw new HttpError(
      403,
      'foreign_origin',
      'This development service does not answer to pages of other sites.',
    )
  next()
}

function isLocalUrl(url: string): boolean {
  if (!URL.canParse(url)) return false
  return isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''))
}
