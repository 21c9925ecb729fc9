import { sendPage } from '@hallpass/pages'
import type { Handler } from '@hallpass/service-kit'
import type { Site } from '../pages/index.ts'
import { type ExplorerParts, explorerPage, pagePolicy } from '../pages/index.ts'
import type { VisitorSource } from '../sessions/index.ts'

/** Handles `GET /explorer`: the page that runs scenarios and draws their hops. */
export function showExplorer(site: Site, visitors: VisitorSource, parts: ExplorerParts): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    sendPage(response, explorerPage(site, visitor, parts), {
      policy: { ...pagePolicy(visitor), scripts: true, connect: ["'self'"] },
    })
  }
}
