import type { Handler } from '@hallpass/service-kit'
import type { VisitorSource } from '../sessions/index.ts'

/**
 * Redirects a user who opens `/` directly (Fetch Metadata's `none`) and is not logged in to the explorer. Links, the
 * redirect after logout, and curl get the home page.
 */
export function leadStrangers(visitors: VisitorSource, to: string): Handler {
  return async (request, response, next) => {
    const { 'sec-fetch-site': site, 'sec-fetch-mode': mode } = request.headers
    if (site !== 'none' || mode !== 'navigate') return next()
    const { user } = await visitors.identify(request)
    if (user) return next()
    response.set('cache-control', 'no-store').redirect(303, to)
  }
}
