import { ownerOf } from '@hallpass/guarded-stream'
import { badRequest, type Clock, readJsonBody } from '@hallpass/service-kit'
import * as z from 'zod'
import { credentialsOf, type StreamAdmission, TICKET_LIFETIME_MS, type Tickets } from '../admission/index.ts'
import {
  type AllowedOrigins,
  answerJson,
  corsHeaders,
  type ExchangeHandler,
  refuseForeignOrigin,
} from '../http/index.ts'

export interface IssueTicketOptions {
  /** Who is allowed to open streams, by path; the first path is the default. */
  readonly paths: ReadonlyMap<string, StreamAdmission>
  readonly origins: AllowedOrigins
  readonly tickets: Tickets
  readonly clock: Clock
}

/** Enough for a path. */
const MAX_BODY_BYTES = 1024
const ticketRequest = z.strictObject({ path: z.string().optional() })

/**
 * Handles `POST /tickets`: exchanges a token for a ticket that opens one stream of a path (`{"path": …}`). The token must be
 * in the header or in a cookie: in the query, it would be where the ticket is to replace it.
 */
export function issueTicket({ paths, origins, tickets, clock }: IssueTicketOptions): ExchangeHandler {
  const [first] = paths.keys()
  return async (exchange) => {
    const { path = first ?? '' } = parse(await exchange.readBody(MAX_BODY_BYTES))
    const admission = paths.get(path)
    if (!admission) throw badRequest('unknown_path', 'The path is not a path of events of this gateway.')
    const { token, from } = credentialsOf(exchange, { ...admission.sources, queryTokens: false })
    refuseForeignOrigin(exchange, origins, from === 'cookie')
    const grant = await admission.authorizer.authorize(token)
    exchange.record?.add({ jti: grant.tokenId })
    const ticket = await tickets.issue(path, grant, ownerOf(grant))
    const lifetimeMs = Math.min(TICKET_LIFETIME_MS, grant.expiresAt - clock())
    answerJson(
      exchange,
      201,
      { ticket, expiresIn: Math.floor(lifetimeMs / 1000) },
      corsHeaders(exchange, origins),
    )
  }
}

function parse(body: Buffer): z.infer<typeof ticketRequest> {
  const result = ticketRequest.safeParse(body.length === 0 ? {} : readJsonBody(body))
  if (!result.success)
    throw badRequest('invalid_request', 'The body can contain only path, such as {"path": "/events"}.')
  return result.data
}
