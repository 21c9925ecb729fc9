import { sendPage } from '@hallpass/pages'
import { currentTrace, type Handler } from '@hallpass/service-kit'
import type { Backends } from '../backends/index.ts'
import { traceHeaders } from '../backends/index.ts'
import type { PolicyFor, Site } from '../pages/index.ts'
import { homePage } from '../pages/index.ts'
import type { VisitorSource } from '../sessions/index.ts'

/** Handles `GET /`: calls both backends for the visitor and shows their answers. */
export function showHome(
  site: Site,
  visitors: VisitorSource,
  backends: Backends,
  policyFor: PolicyFor,
): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    const results = await backends.callAll(await visitor.accessToken(), traceHeaders(request))
    sendPage(response, homePage(site, visitor, results, currentTrace()?.traceId), {
      policy: await policyFor(visitor),
    })
  }
}
