import type { Request } from 'express'

/** Reads `?expired=123` as in the documented examples: any value except an empty one, `0` and `false`. */
export function wantsExpired(request: Pick<Request, 'query'>): boolean {
  const { expired } = request.query
  return expired !== undefined && !['', '0', 'false'].includes(String(expired))
}
