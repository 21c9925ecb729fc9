import { sendPage } from '@hallpass/pages'
import { currentTrace } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import type { Backends } from '../backends.ts'
import type { PolicyFor } from '../page-policy.ts'
import { homePage } from '../pages/home.ts'
import type { Site } from '../pages/shell.ts'
import { traceHeaders } from '../trace-headers.ts'
import type { VisitorSource } from '../visitor.ts'

/** Handles `GET /`: calls both backends for the visitor and shows their answers. */
export function showHome(
  site: Site,
  visitors: VisitorSource,
  backends: Backends,
  policyFor: PolicyFor,
): RequestHandler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    const results = await backends.callAll(await visitor.accessToken(), traceHeaders(request))
    sendPage(response, homePage(site, visitor, results, currentTrace()?.traceId), {
      policy: await policyFor(visitor),
    })
  }
}
