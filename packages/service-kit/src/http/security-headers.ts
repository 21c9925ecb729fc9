import type { IncomingMessage, ServerResponse } from 'node:http'
import helmet from 'helmet'

/** An API has no pages, so its policy forbids everything, and it needs no headers for pages. */
const OF_AN_API: Parameters<typeof helmet>[0] = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
  },
  crossOriginOpenerPolicy: false,
  dnsPrefetchControl: false,
  ieNoOpen: false,
  originAgentCluster: false,
  permittedCrossDomainPolicies: false,
  xssFilter: false,
}

/** Pages differ in what they load, so each sets its own policy. */
const OF_PAGES: Parameters<typeof helmet>[0] = {
  contentSecurityPolicy: false,
  crossOriginEmbedderPolicy: false,
}

/** Returns the headers that every response has. They never change, so helmet is called once, not per request. */
export function securityHeaders({
  pages,
}: {
  readonly pages: boolean
}): readonly (readonly [string, string])[] {
  const headers: [string, string][] = []
  const answer = {
    setHeader: (header: string, value: string) => headers.push([header, value]),
    removeHeader: () => {},
  }
  helmet(pages ? OF_PAGES : OF_AN_API)(
    {} as IncomingMessage,
    answer as unknown as ServerResponse,
    (error) => {
      if (error) throw error
    },
  )
  return headers
}
