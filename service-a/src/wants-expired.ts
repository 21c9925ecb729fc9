import type { Request } from 'express'

/** `?expired=123` as in the documented examples: any value that does not say no. */
export function wantsExpired({ query: { expired } }: Request): boolean {
  return expired !== undefined && !['', '0', 'false'].includes(String(expired))
}
