import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import {
  forward,
  forwardUpgrade,
  Hop,
  type HopService,
  refuseTrace,
  requestHeaders,
  type Upstream,
} from '@hallpass/reverse-proxy'
import { HttpError, refuseUpgrade, toHttpError } from '@hallpass/service-kit'
import { TIER_HEADER } from '@hallpass/tier-trust'
import type { Blocks } from './blocks.ts'
import { forbiddenPage } from './forbidden-page.ts'
import type { Identify } from './identify.ts'
import type { Identity } from './identity.ts'
import type { Asker, Found, TokenCache } from './token-cache.ts'

export interface ServeOptions {
  readonly service: HopService
  readonly api: Upstream
  readonly identify: Identify
  readonly cache: TokenCache
  readonly blocks: Blocks
  readonly clock: () => number
}

/** What the API must not see: who vouched for the caller, and how; it has the token for that. */
const STRIPPED: ReadonlySet<string> = new Set([
  'authorization',
  'remote-user',
  TIER_HEADER,
  'x-request-id',
  'traceparent',
])

/** The way of nearly every request: find out whom it is from, add the token, pass it on. */
export function serveRequests({ service, api, identify, cache, blocks, clock }: ServeOptions) {
  function serve(request: IncomingMessage, response: ServerResponse): void {
    const hop = new Hop(service, request, response)
    try {
      const refusal = refuseTrace(request)
      if (refusal) throw refusal
      const identity = identify(request)
      // Without a promise on the way a hit is answered in the turn in which it came.
      const found = identity instanceof Promise ? undefined : cache.peek(identity)
      if (found) pass(hop, identity as Identity, found)
      else
        obtain(identity, hop).then(
          ({ who, found }) => pass(hop, who, found),
          (error: unknown) => fail(hop, error),
        )
    } catch (error) {
      fail(hop, error)
    }
  }

  async function obtain(identity: Identity | Promise<Identity>, asker: Asker) {
    const who = await identity
    return { who, found: cache.peek(who) ?? (await cache.obtain(who, asker)) }
  }

  function pass(hop: Hop, who: Identity, { entry, status }: Found): void {
    if (entry.kind !== 'token') {
      fail(hop, refusalOf(entry))
      return
    }
    const { request, response } = hop
    forward(request, response, {
      upstream: api,
      headers: [
        ...requestHeaders(request, STRIPPED),
        'authorization',
        `Bearer ${entry.token}`,
        ...hop.fields(),
      ],
      // Between here and there lies a queue for a connection: a token must not grow old in it, nor its user be blocked.
      refuseLate: () => {
        const block = blocks.find(who)
        if (block) return refusalOf(block)
        return clock() < entry.expiresAt ? undefined : tokenEnded()
      },
      answerFields: ['x-request-id', hop.requestId],
      onFailure: (error) => hop.fail(error),
      onEnd: (outcome) => hop.end(outcome, { cs: status, jti: entry.jti }),
    })
  }

  function fail(hop: Hop, thrown: unknown): void {
    const error = toHttpError(thrown)
    hop.fail(error, error.code === 'blocked' ? forbiddenPage(hop.request) : undefined)
    hop.end(undefined, { cs: '-', reason: error.code })
  }

  /** A WebSocket or the like: the handshake carries the token, what follows is between the two sides. */
  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy())
    try {
      const { found } = await obtain(identify(request), { requestId: 'upgrade' })
      const { entry, status } = found
      if (entry.kind !== 'token') throw refusalOf(entry)
      const headers = [...requestHeaders(request, STRIPPED), 'authorization', `Bearer ${entry.token}`]
      await forwardUpgrade(request, socket, head, {
        upstream: api,
        headers,
        onAnswer: (us) =>
          service.log.info(
            {
              path: request.url?.split('?', 1)[0],
              ua: api.address,
              us,
              cs: status,
              jti: entry.jti,
            },
            'upgrade',
          ),
      })
    } catch (error) {
      refuseUpgrade(socket, toHttpError(error))
    }
  }

  return { serve, upgrade: (...args: Parameters<typeof upgrade>) => void upgrade(...args) }
}

function refusalOf(entry: Exclude<Found['entry'], { kind: 'token' }>): HttpError {
  return entry.kind === 'block'
    ? new HttpError(403, 'blocked', 'An operator has blocked this caller.')
    : new HttpError(entry.status, entry.code, entry.message, {
        headers: entry.status === 403 ? {} : { 'retry-after': '1' },
      })
}

const tokenEnded = () =>
  new HttpError(503, 'token_ended', 'The token ended while the request waited for the API.', {
    headers: { 'retry-after': '1' },
  })
