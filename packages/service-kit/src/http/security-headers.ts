import type { IncomingMessage, ServerResponse } from 'node:http'
import helmet from 'helmet'

/** An API has nothing to show, so it forbids pages everything, and has no need of the rules for them. */
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

/** Pages differ in what they may load, so each says so itself. */
const OF_PAGES: Parameters<typeof helmet>[0] = {
  contentSecurityPolicy: false,
  crossOriginEmbedderPolicy: false,
}

/** The headers that every answer has. They are always the same, so helmet is asked for them once, not for each request. */
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
