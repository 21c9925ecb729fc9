import type { Handler } from '@hallpass/service-kit'
import { IssuedStatuses, type IssuedStatusesOptions } from './issued-statuses.ts'
import { publishStatusLists, type StatusListEndpointOptions } from './publish-status-lists.ts'
import { statusClaim, statusIn } from './status-claim.ts'

/** The key ID that signs status lists: a verifier of lists needs no other key of the issuer. */
export const STATUS_LIST_KEY_ID = 'status-list'

/** What the issuer does for tokens whose revocation verifiers see offline. */
export interface StatusLists {
  /** Returns the claim of a new token. @throws {StoreUnavailableError} if it has no place; the token must not be issued */
  readonly claims: () => Promise<{ readonly status: ReturnType<typeof statusClaim> }>
  /** Revokes a token by its claims. Idempotent. @throws {StoreUnavailableError} if it is not revoked */
  readonly revoke: (claims: Readonly<Record<string, unknown>>) => Promise<void>
  /** `GET /status-lists/:id` */
  readonly one: Handler
  /** `GET /status-lists` */
  readonly all: Handler
}

export type StatusListsOptions = IssuedStatusesOptions & Omit<StatusListEndpointOptions, 'statuses'>

/** Creates the status lists of the issuer, in a zone that all replicas share. */
export function statusLists(options: StatusListsOptions): StatusLists {
  const statuses = new IssuedStatuses(options)
  return {
    claims: async () => ({ status: statusClaim(options.listsUri, await statuses.place()) }),
    async revoke(claims) {
      const status = statusIn(claims)
      if (status) await statuses.revoke(status)
    },
    ...publishStatusLists({ ...options, statuses }),
  }
}
