import { sendPage } from '@hallpass/pages'
import { type Handler, notFound } from '@hallpass/service-kit'
import type { CheckSources } from '../live/index.ts'
import type { Site } from '../pages/index.ts'
import { type LivePage, livePage, pagePolicy, sourcePage } from '../pages/index.ts'
import type { VisitorSource } from '../sessions/index.ts'

/** Handles the live views, such as `GET /keys`; the script of each page keeps it up to date. */
export function showLive(page: LivePage, site: Site, visitors: VisitorSource): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    sendPage(response, livePage(site, visitor, page), {
      policy: { ...pagePolicy(visitor), scripts: true, connect: ["'self'"] },
    })
  }
}

/** Handles `GET /source?file=…`: shows only files that a check links to. */
export function showSource(sources: CheckSources, site: Site, visitors: VisitorSource): Handler {
  return async (request, response) => {
    const { file } = request.query
    const lines = sources.read(file)
    if (!lines) throw notFound('no_such_source', 'Source file not found: no check links to it.')
    const visitor = await visitors.identify(request)
    sendPage(response, sourcePage(site, visitor, String(file), lines), { policy: pagePolicy(visitor) })
  }
}
