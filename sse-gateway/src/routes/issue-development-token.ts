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
  /** Returned to the page for its countdown. */
  readonly challengeWindowMs: number
  readonly clock: Clock
}

/**
 * Handles `POST /token`, which replaces a login in development mode: the page gets short-lived tokens here, so that no
 * private key is in the browser. It answers only requests from this machine, and no page of another origin: it sends no
 * CORS headers, and requires a content type that such a page cannot send without a preflight.
 */
export function issueDevelopmentToken(options: TokenEndpointOptions): ExchangeHandler {
  const { key, claims, lifetimeSeconds, challengeWindowMs, clock } = options
  return async (exchange) => {
    refuseOtherCallers(exchange)
    const requested = parseRequest(await exchange.readBody(MAX_BODY_BYTES))
    const seconds = Math.min(lifetimeSeconds, requested.expires_in ?? lifetimeSeconds)
    const aud = requested.audience ?? claims.aud
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

/** What a demo can request: a shorter lifetime or another audience. */
const tokenRequest = z.strictObject({
  expires_in: z.int().min(1).optional(),
  audience: z.string().min(1).max(256).optional(),
})
const MAX_BODY_BYTES = 1024

function parseRequest(body: Buffer): z.infer<typeof tokenRequest> {
  const request = body.length === 0 ? {} : readJsonBody(body)
  try {
    return tokenRequest.parse(request)
  } catch (cause) {
    throw badRequest(
      'invalid_request',
      'The body can contain only expires_in, in seconds, and audience.',
      cause,
    )
  }
}

function refuseOtherCallers({ remoteAddress, headers, host }: Exchange) {
  if (!isLoopback(remoteAddress.replace(/^::ffff:/, '')))
    throw new HttpError(403, 'not_local', 'Development tokens are issued only to this machine.')
  const { origin, 'content-type': type = '' } = headers
  if (origin !== undefined && origin !== `https://${host}`)
    throw new HttpError(
      403,
      'origin_not_allowed',
      'Development tokens are issued only to the gateway’s own page.',
    )
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw new HttpError(415, 'wrong_content_type', 'The content type must be application/json.')
}
