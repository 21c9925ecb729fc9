import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  forwardRecorded,
  forwardUpgrade,
  recordForwarding,
  requestHeaders,
  type Upstream,
} from '@hallpass/reverse-proxy'
import { type Handler, HttpError, type Logger, type RequestRecord } from '@hallpass/service-kit'
import { TIER_HEADER } from '@hallpass/tier-trust'
import type { Asker, Blocks, Found, TokenCache } from '../cache/index.ts'
import type { Identify, Identity } from '../identity/index.ts'
import { asPage } from './forbidden-page.ts'

export interface ServeOptions {
  readonly log: Logger
  readonly api: Upstream
  readonly identify: Identify
  readonly cache: TokenCache
  readonly blocks: Blocks
  readonly clock: () => number
}

/** Fields that must not reach the API: how the caller was identified, which the token replaces, and this hop's own fields. */
const STRIPPED: ReadonlySet<string> = new Set([
  'authorization',
  'remote-user',
  TIER_HEADER,
  'x-request-id',
  'traceparent',
])

/** Returns handlers that identify the caller of a request, add its token, and forward the request. */
export function serveRequests({ log, api, identify, cache, blocks, clock }: ServeOptions) {
  const serve: Handler = (request, response) => {
    const record = recordForwarding(request)
    // Overwritten once there is a token.
    record.add({ cs: '-' })
    const identity = identify(request)
    // Without a promise, a hit is answered in the same event-loop turn.
    const found = identity instanceof Promise ? undefined : cache.peek(identity)
    if (found) return pass(request, response, record, identity as Identity, found)
    return obtain(identity, askerOf(record)).then(({ who, found }) =>
      pass(request, response, record, who, found),
    )
  }

  async function obtain(identity: Identity | Promise<Identity>, asker: Asker) {
    const who = await identity
    return { who, found: cache.peek(who) ?? (await cache.obtain(who, asker)) }
  }

  function pass(
    request: IncomingMessage,
    response: ServerResponse,
    record: RequestRecord,
    who: Identity,
    { entry, status }: Found,
  ): void {
    if (entry.kind !== 'token') throw asPage(refusalOf(entry), request)
    record.add({ cs: status, jti: entry.jti })
    forwardRecorded(request, response, record, {
      log,
      upstream: api,
      headers: [...requestHeaders(request, STRIPPED), 'authorization', `Bearer ${entry.token}`],
      // Called after the wait for a connection to the API: the token can have expired and the user been blocked meanwhile.
      refuseLate: () => {
        const block = blocks.find(who)
        if (block) return asPage(refusalOf(block), request)
        return clock() < entry.expiresAt ? undefined : tokenEnded()
      },
    })
  }

  /** Forwards an upgrade such as a WebSocket. The token is in the handshake; later data is forwarded unchanged. */
  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const record = recordForwarding(request)
    record.add({ cs: '-' })
    const { found } = await obtain(identify(request), askerOf(record))
    const { entry, status } = found
    if (entry.kind !== 'token') throw refusalOf(entry)
    record.add({ cs: status, jti: entry.jti })
    await forwardUpgrade(request, socket, head, record, {
      upstream: api,
      headers: [...requestHeaders(request, STRIPPED), 'authorization', `Bearer ${entry.token}`],
    })
  }

  return { serve, upgrade }
}

/** Removes the deadline: other requests wait for the same token, so one caller's deadline must not abort the call. */
const askerOf = ({ requestId, trace }: RequestRecord): Asker => ({
  requestId,
  trace: { ...trace, deadline: undefined },
})

function refusalOf(entry: Exclude<Found['entry'], { kind: 'token' }>): HttpError {
  return entry.kind === 'block'
    ? new HttpError(403, 'blocked', 'An operator has blocked this caller.')
    : new HttpError(entry.status, entry.code, entry.message, {
        headers: entry.status === 403 ? {} : { 'retry-after': '1' },
      })
}

const tokenEnded = () =>
  new HttpError(503, 'token_ended', 'The token expired while the request waited for the API. Retry.', {
    headers: { 'retry-after': '1' },
  })
