import { sendPage } from '@hallpass/pages'
import type { Handler } from '@hallpass/service-kit'
import type { Site } from '../pages/index.ts'
import { decoderPage, pagePolicy } from '../pages/index.ts'
import type { VisitorSource } from '../sessions/index.ts'

/** Handles `GET /decoder`. The policy runs the page's script and blocks every request of it. */
export function showDecoder(site: Site, visitors: VisitorSource): Handler {
  return async (request, response) => {
    const visitor = await visitors.identify(request)
    const policy = { ...pagePolicy(visitor), scripts: true, connect: [] }
    sendPage(response, decoderPage(site, visitor), { policy })
  }
}
