import type { Request } from 'express'

/** `?expired=123` as in the documented examples: any value that does not say no. */
export function wantsExpired(request: Pick<Request, 'query'>): boolean {
  const { expired } = request.query
  return expired !== undefined && !['', '0', 'false'].includes(String(expired))
}
