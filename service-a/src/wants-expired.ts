import type { IncomingMessage } from 'node:http'
import { queryOf } from '@hallpass/service-kit'

/** `?expired=123` as in the documented examples: any value that does not say no. */
export function wantsExpired(request: IncomingMessage): boolean {
  const { expired } = queryOf(request)
  return expired !== undefined && !['', '0', 'false'].includes(String(expired))
}
