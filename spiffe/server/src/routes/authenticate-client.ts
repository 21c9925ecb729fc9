import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { type Clock, type Logger, logAlso, observeVerification } from '@hallpass/service-kit'
import {
  type JwtBundleSource,
  type JwtSvid,
  JwtSvidError,
  type Matcher,
  svidValidator,
} from '@hallpass/spiffe'

export interface ClientAuthentication {
  readonly jwtSource: JwtBundleSource
  readonly audiences: readonly string[]
  /** Decides which workloads with a valid token are accepted; throws for the others. */
  readonly authorize: Matcher
  readonly leewaySeconds: number
  readonly log: Logger
  readonly clock: Clock
}

/**
 * Rejects requests without a valid JWT-SVID for this server, or from a workload that is not on its list. Statuses, bodies and log
 * lines are those of go-spiffe's example, which has no such list and ignores the verified identity.
 */
export function authenticateClient(options: ClientAuthentication, next: RequestListener): RequestListener {
  const { jwtSource, audiences, authorize, leewaySeconds, log, clock } = options
  const validate = svidValidator(jwtSource, audiences, { clock, leewaySeconds })

  async function authenticate(request: IncomingMessage, response: ServerResponse) {
    const token = bearerOf(request)
    if (token === undefined) {
      log.warn('Malformed header')
      logAlso(request, { reason: 'no_token' })
      return refuse(response, 401, 'Invalid or unsupported authorization header')
    }
    let svid: JwtSvid
    try {
      svid = (await observeVerification(token, validate)).svid
    } catch (error) {
      log.warn(`Invalid token: ${(error as Error).message}`)
      if (error instanceof JwtSvidError) {
        logAlso(request, { reason: error.code })
        return refuse(response, 401, 'Unauthorized')
      }
      return refuse(response, 503, 'Service Unavailable')
    }
    logAlso(request, { jti: svid.claims.jti })
    try {
      authorize(svid.id)
    } catch (error) {
      log.warn({ id: svid.id }, `Not authorized: ${(error as Error).message}`)
      return refuse(response, 403, 'Forbidden')
    }
    next(request, response)
  }

  return (request, response) => {
    authenticate(request, response).catch((err: unknown) => {
      log.error({ err }, 'authentication failed')
      response.destroy()
    })
  }
}

/** Reads the token from a single header of the form `Bearer <token>`; returns undefined for anything else. */
function bearerOf(request: IncomingMessage): string | undefined {
  const headers = request.headersDistinct.authorization ?? []
  const fields = (headers[0] ?? '').split(/\s+/).filter(Boolean)
  return headers.length === 1 && fields.length === 2 && fields[0] === 'Bearer' ? fields[1] : undefined
}

/** Sends an error like Go's `http.Error`, which clients of go-spiffe's example expect. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'content-length': text.length + 1,
    })
    .end(`${text}\n`)
}
