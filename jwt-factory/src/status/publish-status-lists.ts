import { createHash } from 'node:crypto'
import { type Clock, type Handler, notFound, sendJson } from '@hallpass/service-kit'
import { STATUS_LIST_TYPE, statusListClaims } from '@hallpass/tokens'
import type { IssuedStatuses } from './issued-statuses.ts'

/** How often a list is read from the store, however many verifiers ask: a revocation is published after at most this time. */
const RENDER_MS = 500
/** The lists that are kept rendered, 3 KB each. */
const MAX_RENDERED = 1_000

export interface StatusListEndpointOptions {
  readonly statuses: IssuedStatuses
  readonly issuer: string
  /** The URI of the lists, which ends with a slash. */
  readonly listsUri: string
  /** How long verifiers use their copy. */
  readonly ttlSeconds: number
  /** Signs the claims with a key of the issuer's JWKS; sets `iat`, and `exp` to `lifetimeSeconds` later. */
  readonly sign: (
    claims: Readonly<Record<string, unknown>>,
    options: { readonly typ: string; readonly lifetimeSeconds: number },
  ) => Promise<string>
  readonly clock: Clock
}

interface Rendered {
  readonly token: string
  readonly etag: string
  readonly lst: string
  readonly signedAt: number
  /** When it was last compared with the store. */
  readonly checkedAt: number
}

/**
 * `GET /status-lists/:id`: returns a status list token (Token Status List §8.1); `GET /status-lists`: returns the URIs of all lists (§9.3).
 * Verifiers revalidate with the ETag. A list is signed again when it has changed, or is half a `ttl` old.
 */
export function publishStatusLists(options: StatusListEndpointOptions): { one: Handler; all: Handler } {
  const { statuses, issuer, listsUri, ttlSeconds, sign, clock } = options
  const rendered = new Map<string, Rendered>()
  const rendering = new Map<string, Promise<Rendered | undefined>>()

  async function render(id: string): Promise<Rendered | undefined> {
    const checkedAt = clock()
    const list = await statuses.list(id)
    if (!list) {
      rendered.delete(id)
      return undefined
    }
    const claims = statusListClaims(list, { issuer, uri: listsUri + id, ttlSeconds })
    const { lst } = list.encode()
    const known = rendered.get(id)
    const isCurrent = known?.lst === lst && checkedAt < known.signedAt + ttlSeconds * 500
    const token = isCurrent
      ? known.token
      : await sign(claims, { typ: STATUS_LIST_TYPE, lifetimeSeconds: LIFETIME_TTLS * ttlSeconds })
    const next = {
      token,
      etag: `"${createHash('sha256').update(token).digest('base64url')}"`,
      lst,
      signedAt: isCurrent ? known.signedAt : checkedAt,
      checkedAt,
    }
    rendered.delete(id)
    rendered.set(id, next)
    if (rendered.size > MAX_RENDERED) rendered.delete(rendered.keys().next().value as string)
    return next
  }

  async function current(id: string): Promise<Rendered | undefined> {
    const known = rendered.get(id)
    const age = known ? clock() - known.checkedAt : Number.POSITIVE_INFINITY
    // A clock that was set back must not keep an old list.
    if (known && age >= 0 && age < RENDER_MS) return known
    const running =
      rendering.get(id) ??
      render(id).finally(() => {
        rendering.delete(id)
      })
    rendering.set(id, running)
    return running
  }

  return {
    async one(request, response) {
      const id = String(request.params.id)
      const found = await current(id)
      if (!found)
        throw notFound('status_list_not_found', 'There is no such status list, or its tokens have expired.')
      response.setHeader('etag', found.etag).setHeader('cache-control', 'public, no-cache')
      if (matches(request.headers['if-none-match'], found.etag)) return void response.writeHead(304).end()
      response
        .writeHead(200, {
          'content-type': `application/${STATUS_LIST_TYPE}`,
          'content-length': Buffer.byteLength(found.token),
        })
        .end(found.token)
    },
    async all(_request, response) {
      sendJson(response, 200, { status_lists: (await statuses.ids()).map((id) => listsUri + id) })
    },
  }
}

/** A list expires after this many ttls, so a verifier that cannot reload it for a while can still use it. */
const LIFETIME_TTLS = 6

/** RFC 9110 §13.1.2: a list with weak comparison. */
const matches = (field: string | undefined, etag: string) =>
  (field ?? '')
    .split(',')
    .map((tag) => tag.trim().replace(/^W\//, ''))
    .some((tag) => tag === etag || tag === '*')
