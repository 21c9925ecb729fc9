import { type Handler, HttpError } from '@hallpass/service-kit'
import { StoreUnavailableError } from '@hallpass/token-store'
import { IssuedStatuses, type IssuedStatusesOptions } from './issued-statuses.ts'
import { publishStatusLists, type StatusListEndpointOptions } from './publish-status-lists.ts'
import { statusClaim, statusIn } from './status-claim.ts'

/** The key ID that signs status lists: a verifier of lists needs no other key of the issuer. */
export const STATUS_LIST_KEY_ID = 'status-list'

/** What the issuer does for tokens whose revocation verifiers see offline. */
export interface StatusLists {
  /** Returns the claim of a new token. @throws {HttpError} 503 if it has no place; the token must not be issued */
  readonly claims: () => Promise<{ readonly status: ReturnType<typeof statusClaim> }>
  /** Revokes a token by its claims. Idempotent. @throws {HttpError} 503 if it is not revoked */
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
  const lists = publishStatusLists({ ...options, statuses })
  return {
    claims: async () => ({ status: statusClaim(options.listsUri, await onStore(() => statuses.place())) }),
    async revoke(claims) {
      const status = statusIn(claims)
      if (status) await onStore(() => statuses.revoke(status))
    },
    one: async (request, response, next) => onStore(async () => lists.one(request, response, next)),
    all: async (request, response, next) => onStore(async () => lists.all(request, response, next)),
  }
}

async function onStore<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreUnavailableError)) throw error
    throw new HttpError(503, 'state_unavailable', error.message, {
      cause: error,
      headers: { 'retry-after': '2' },
    })
  }
}
