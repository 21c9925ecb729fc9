import { badRequest, type Clock, HttpError, isLoopback, readJsonBody } from '@hallpass/service-kit'
import { type SigningKey, signToken } from '@hallpass/tokens'
import * as z from 'zod'
import { answerJson, type Exchange, type ExchangeHandler } from '../http/index.ts'

export interface TokenEndpointOptions {
  readonly key: SigningKey
  readonly claims: {
    readonly iss: string
    readonly aud: string
    readonly sub: string
    readonly scope: string
  }
  readonly lifetimeSeconds: number
  /** Told to the page, for its countdown. */
  readonly challengeWindowMs: number
  readonly clock: Clock
}

/**
 * `POST /token`: on a development start, where a login would be, the page gets short tokens here, so that no private
 * key is ever in a browser. Only this machine is answered, and no page of another origin: it sends no CORS header,
 * and asks for a content type that such a page may not send without being asked first.
 */
export function issueDevelopmentToken(options: TokenEndpointOptions): ExchangeHandler {
  const { key, claims, lifetimeSeconds, challengeWindowMs, clock } = options
  return async (exchange) => {
    refuseStrangers(exchange)
    const wish = parseWish(await exchange.readBody(MAX_BODY_BYTES))
    const seconds = Math.min(lifetimeSeconds, wish.expires_in ?? lifetimeSeconds)
    const aud = wish.audience ?? claims.aud
    const token = await signToken({ ...claims, aud }, key, { lifetimeSeconds: seconds, clock })
    const expiresAt = (Math.floor(clock() / 1000) + seconds) * 1000
    answerJson(exchange, 200, {
      access_token: token,
      token_type: 'Bearer',
      expires_in: seconds,
      expiresAt,
      challengeWindowMs,
    })
  }
}

/** What a demonstration may ask for: a token that ends sooner, or that is for somebody else. */
const wishes = z.strictObject({
  expires_in: z.int().min(1).optional(),
  audience: z.string().min(1).max(256).optional(),
})
const MAX_BODY_BYTES = 1024

function parseWish(body: Buffer): z.infer<typeof wishes> {
  const wish = body.length === 0 ? {} : readJsonBody(body)
  try {
    return wishes.parse(wish)
  } catch (cause) {
    throw badRequest('invalid_wish', 'The body may have expires_in, in seconds, and audience.', cause)
  }
}

function refuseStrangers({ remoteAddress, headers, host }: Exchange) {
  if (!isLoopback(remoteAddress.replace(/^::ffff:/, '')))
    throw new HttpError(403, 'not_local', 'Development tokens are for this machine alone.')
  const { origin, 'content-type': type = '' } = headers
  if (origin !== undefined && origin !== `https://${host}`)
    throw new HttpError(403, 'origin_not_allowed', 'Development tokens are for the gateway’s own page.')
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw new HttpError(415, 'wrong_content_type', 'The request must be application/json.')
}
