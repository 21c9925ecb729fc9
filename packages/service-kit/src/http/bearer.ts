import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Request } from 'express'
import { HttpError } from '../errors.ts'
import {
  isTokenRefusal,
  logAlso,
  observeVerification,
  type TokenRefusal,
  type VerifiedClaims,
} from '../observation/index.ts'
import { isLoopback } from '../process/index.ts'
import { sendJson } from './answers.ts'
import type { Handler } from './handler.ts'

export interface RequireBearerOptions {
  readonly realm: string
  /** Resolves with the claims, or throws a {@link TokenRefusal}. */
  readonly verify: (token: string) => Promise<VerifiedClaims> | VerifiedClaims
  /** All must be among the token's scopes ({@link scopesOf}); else 403 `insufficient_scope`. */
  readonly scopes?: readonly string[]
  /** Builds the body of a rejection; the `WWW-Authenticate` header does not depend on it. */
  readonly refusalBody?: (refusal: TokenRefusal) => unknown
}

const defaultRefusalBody = (refusal: TokenRefusal) => ({
  message: 'invalid token',
  valid: false,
  error: refusal.toJSON(),
  claims: {},
})

/** A request with a valid bearer token. */
export type AuthorizedRequest = Request & { readonly token: VerifiedClaims }

/** Rejects requests without a valid bearer token, with 401 or 403 (RFC 6750 §3). */
export function requireBearer(options: RequireBearerOptions): Handler {
  const { realm, verify, scopes = [], refusalBody = defaultRefusalBody } = options
  return async (request, _response, next) => {
    const token = bearerToken(request, realm)
    let verified: VerifiedClaims
    try {
      verified = await observeVerification(token, verify)
    } catch (error) {
      if (!isTokenRefusal(error)) throw error
      throw new HttpError(401, 'invalid_token', error.message, {
        cause: error,
        headers: {
          'www-authenticate': challenge(realm, { error: 'invalid_token', error_description: error.message }),
        },
        body: refusalBody(error),
      })
    }
    const granted = scopesOf(verified.claims)
    if (scopes.some((scope) => !granted.includes(scope)))
      throw new HttpError(403, 'insufficient_scope', `The token needs the scope ${scopes.join(' ')}.`, {
        headers: {
          'www-authenticate': challenge(realm, { error: 'insufficient_scope', scope: scopes.join(' ') }),
        },
      })
    const { jti } = verified.claims
    Object.assign(request, { token: verified })
    if (typeof jti === 'string') logAlso(request, { jti })
    next()
  }
}

/** Sends the claims of the token that {@link requireBearer} accepted; the counterpart of its rejection body. */
export const sendClaims: Handler = (request, response) => {
  sendJson(response, 200, { valid: true, claims: (request as AuthorizedRequest).token.claims })
}

/**
 * Rejects requests that were not sent over TLS: the token has already been exposed on the network, so it must not be
 * accepted (RFC 6750 §5.3).
 */
export const requireTls: Handler = (request, _response, next) => {
  if (!isEncrypted(request)) throw tlsRequired()
  next()
}

/**
 * Rejects a request that reached this machine unencrypted: what it contains has been exposed on the network. A request on
 * the loopback interface has not.
 * @throws {HttpError} 403 `tls_required`
 */
export function refusePlainTransport(request: IncomingMessage): void {
  const { localAddress = '' } = request.socket
  if (!isEncrypted(request) && !isLoopback(localAddress.replace(/^::ffff:/, ''))) throw tlsRequired()
}

const isEncrypted = ({ socket }: IncomingMessage) => (socket as TLSSocket).encrypted === true

const tlsRequired = () => new HttpError(403, 'tls_required', 'This endpoint requires TLS. Use the https URL.')

/**
 * Returns the token of the `Authorization` header (RFC 6750 §2.1).
 * @throws {HttpError} 401 without credentials (no error code, §3.1); 400 if there are several or the URL contains a
 *   token
 */
export function bearerToken(request: IncomingMessage, realm: string): string {
  let fields = 0
  for (let index = 0; index < request.rawHeaders.length; index += 2)
    if (request.rawHeaders[index]?.toLowerCase() === 'authorization') fields += 1
  if (fields > 1) throw invalidRequest(realm, 'Send exactly one Authorization header.')
  if (/[?&]access_token=/.test(request.url ?? ''))
    throw invalidRequest(realm, 'A token in the URL ends up in logs; send it in the Authorization header.')
  const match = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')
  if (!match)
    throw new HttpError(401, 'no_token', 'no token provided', {
      headers: { 'www-authenticate': challenge(realm) },
      body: { message: 'no token provided' },
    })
  return match[1] as string
}

const invalidRequest = (realm: string, message: string) =>
  new HttpError(400, 'invalid_request', message, {
    headers: {
      'www-authenticate': challenge(realm, { error: 'invalid_request', error_description: message }),
    },
  })

/**
 * Returns the `scope` claim as a list, from a space-separated string (RFC 8693 §4.2) or an array; without it, the claim `scp`, in
 * which Entra has a string and Okta an array.
 */
export function scopesOf(claims: Readonly<Record<string, unknown>>): string[] {
  const granted = claims.scope ?? claims.scp
  if (Array.isArray(granted)) return granted.filter((item): item is string => typeof item === 'string')
  return typeof granted === 'string' ? granted.split(/\s+/).filter(Boolean) : []
}

/** Returns a `WWW-Authenticate` value; characters that RFC 6750 §3 does not allow are replaced. */
export function challenge(realm: string, parameters: Readonly<Record<string, string>> = {}): string {
  const all = Object.entries({ realm, ...parameters })
  return `Bearer ${all.map(([name, value]) => `${name}="${value.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "'")}"`).join(', ')}`
}
