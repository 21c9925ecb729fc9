import { createHash } from 'node:crypto'
import type { Clock } from '@hallpass/service-kit'
import { type Authorizer, type CredentialSources, credentialsOf } from '../admission/index.ts'
import { answerJson, type ExchangeHandler } from '../http/index.ts'
import type { StreamRegistry, StreamSession } from '../streams/index.ts'

export interface ListStreamsOptions {
  /** Accepts tokens that are allowed to revoke. */
  readonly authorizer: Authorizer
  readonly sources: CredentialSources
  readonly streams: StreamRegistry
  readonly clock: Clock
}

/** More than a user reads; the response also contains the total count. */
const MAX_LISTED = 200

/**
 * Handles `GET /streams`: returns this gateway's open streams, with the times of their next challenge and close, and the
 * recently closed ones with the reason. Handles are not included, because they are needed to extend a stream.
 */
export function listStreams({ authorizer, sources, streams, clock }: ListStreamsOptions): ExchangeHandler {
  return async (exchange) => {
    const grant = await authorizer.authorize(credentialsOf(exchange, sources).token)
    exchange.record?.add({ jti: grant.tokenId })
    const open: object[] = []
    for (const session of streams.all()) {
      if (open.length === MAX_LISTED) break
      open.push({ ...describe(session), state: session.state, endsAt: dateOf(session.endsAt) })
    }
    answerJson(exchange, 200, {
      now: dateOf(clock()),
      count: streams.size,
      open,
      ended: streams.ended.map(({ session, reason, at }) => ({
        ...describe(session),
        reason,
        endedAt: dateOf(at),
      })),
    })
  }
}

function describe({ handle, path, protocol, openedAt, grant, challenge }: StreamSession) {
  return {
    id: createHash('sha256').update(handle).digest('base64url').slice(0, 12),
    path,
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
