import { createHash } from 'node:crypto'
import type { Clock } from '@hallpass/service-kit'
import { type Authorizer, type CredentialSources, credentialsOf } from '../admission/index.ts'
import { answerJson, type ExchangeHandler } from '../http/index.ts'
import type { StreamRegistry, StreamSession } from '../streams/index.ts'

export interface ListStreamsOptions {
  /** Lets in whoever may revoke. */
  readonly authorizer: Authorizer
  readonly sources: CredentialSources
  readonly streams: StreamRegistry
  readonly clock: Clock
}

/** More than a person reads; the count of all is told beside them. */
const MAX_LISTED = 200

/**
 * `GET /streams`: the open streams of this gateway, with the times at which each is challenged and ends, and the last
 * that ended, with the reason. Handles are not shown: they name a stream to whoever would extend it.
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

/** `null` for a moment that never comes. */
const dateOf = (milliseconds: number) =>
  Number.isFinite(milliseconds) ? new Date(milliseconds).toISOString() : null
