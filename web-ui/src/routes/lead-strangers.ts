import type { RequestHandler } from 'express'
import type { VisitorSource } from '../visitor.ts'

/**
 * Leads a person who opens `/` for the first time to the explorer: not logged in, and come by no link (Fetch Metadata's
 * `none`). The navigation, the way back from a logout, and curl get the home page that they asked for.
 */
export function leadStrangers(visitors: VisitorSource, to: string): RequestHandler {
  return async (request, response, next) => {
    const { 'sec-fetch-site': site, 'sec-fetch-mode': mode } = request.headers
    if (site !== 'none' || mode !== 'navigate') return next()
    const { user } = await visitors.identify(request)
    if (user) return next()
    response.set('cache-control', 'no-store').redirect(303, to)
  }
}
