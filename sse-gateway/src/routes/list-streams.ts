import { createHash } from 'node:crypto'
import type { Clock } from '@hallpass/service-kit'
import { type Admission, credentialsOf } from '../admission/index.ts'
import { answerJson, type ExchangeHandler } from '../http/index.ts'
import type { StreamRegistry, StreamSession } from '../streams/index.ts'

/** Its authorizer accepts tokens that are allowed to revoke. */
export interface ListStreamsOptions extends Admission {
  /** Whether the issuer's administrators see the streams of all issuers, and not only of their own. */
  readonly administersAll: (issuer: string) => boolean
  readonly streams: StreamRegistry
  readonly clock: Clock
}

/** More than a user reads; the response also contains the total count. */
const MAX_LISTED = 200

/**
 * Handles `GET /streams`: returns this gateway's open streams, with the times of their next challenge and close, and the
 * recently closed ones with the reason, of the token's issuer. Handles are not included, because they are needed to extend
 * a stream.
 */
export function listStreams(options: ListStreamsOptions): ExchangeHandler {
  const { authorizer, administersAll, sources, streams, clock } = options
  return async (exchange) => {
    const grant = await authorizer.authorize(credentialsOf(exchange, sources).token)
    exchange.record?.add({ jti: grant.tokenId })
    const all = administersAll(grant.issuer)
    const isShown = (session: StreamSession) => all || session.grant.issuer === grant.issuer
    const open: object[] = []
    let count = 0
    for (const session of streams.all()) {
      if (!isShown(session)) continue
      count += 1
      if (open.length === MAX_LISTED) continue
      open.push({ ...describe(session), state: session.state, endsAt: dateOf(session.endsAt) })
    }
    answerJson(exchange, 200, {
      now: dateOf(clock()),
      count,
      open,
      ended: streams.ended
        .filter(({ session }) => isShown(session))
        .map(({ session, reason, at }) => ({ ...describe(session), reason, endedAt: dateOf(at) })),
    })
  }
}

function describe({ handle, path, topics, protocol, openedAt, grant, challenge }: StreamSession) {
  return {
    id: createHash('sha256').update(handle).digest('base64url').slice(0, 12),
    path,
    topics: topics ?? null,
    protocol,
    issuer: grant.issuer,
    subject: grant.subject ?? null,
    jti: grant.tokenId,
    openedAt: dateOf(openedAt),
    challengeAt: dateOf(challenge.at),
    challenges: challenge.sent,
    answers: challenge.answered,
  }
}

/** Returns `null` for a time that never comes. */
const dateOf = (milliseconds: number) =>
  Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : null
