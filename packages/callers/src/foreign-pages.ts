import { type Handler, HttpError, isLoopback } from '@hallpass/service-kit'

/** What nearly every caller says; anything else is parsed. */
const USUAL_HOST = /^(localhost|127\.0\.0\.1):\d{1,5}$/

/**
 * What is open to loopback is open to every web page in the developer's browser, too: by a form that posts to
 * localhost, or by a name of its own that it lets point to 127.0.0.1 (DNS rebinding). Both show in the headers.
 */
export const refuseForeignPages: Handler = (request, _response, next) => {
  const { host, origin, 'sec-fetch-site': site } = request.headers
  if (host !== undefined && !USUAL_HOST.test(host) && !isLocalUrl(`http://${host}`))
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
