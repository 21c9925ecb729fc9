import type { IssuedStatus } from './issued-statuses.ts'

/** Returns the claim with which a token refers to its status (Token Status List §6.1). */
export const statusClaim = (listsUri: string, { listId, index }: IssuedStatus) => ({
  status_list: { idx: index, uri: `${listsUri}${listId}` },
})

/** Returns where the status of one of this issuer's tokens is; undefined if the token has none. */
export function statusIn({ status }: Readonly<Record<string, unknown>>): IssuedStatus | undefined {
  const reference = (status as { status_list?: { idx?: unknown; uri?: unknown } } | undefined)?.status_list
  if (typeof reference?.idx !== 'number' || typeof reference.uri !== 'string') return undefined
  // Only the last segment: the base of the URI may have changed since the token was issued.
  return { listId: reference.uri.slice(reference.uri.lastIndexOf('/') + 1), index: reference.idx }
}
