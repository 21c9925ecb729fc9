import {
  type Clock,
  type Counter,
  type Handler,
  HttpError,
  type JsonObject,
  logAlso,
  observeVerification,
  sendJson,
} from '@hallpass/service-kit'
import { TokenError, verifyToken } from '@hallpass/tokens'
import { REFUSAL_REASON } from '../client.ts'
import type { Config } from '../config.ts'
import { issuerChecks, type KeyStore, keyIdOf } from '../keys/index.ts'
import type { RevokedTokens } from '../state/index.ts'

/**
 * `POST /verify/:keyId` with `token`, `aud` and `sub`: verifies that this factory signed the token with a key of the key ID,
 * for this audience and subject. The response bodies are the documented ones.
 */
export function verifyIssuedToken(
  keys: KeyStore,
  revoked: RevokedTokens,
  { issuer, tokenLifetimeSeconds, clockToleranceSeconds, library }: Config,
  clock: Clock,
  outcomes: Counter<'outcome'>,
): Handler {
  const checks = issuerChecks(revoked)
  return async (request, response) => {
    const keyId = keyIdOf(request)
    if (!(await keys.get(keyId))) throw requestError(404, 'key_not_found', 'key not found')
    const { token, aud, sub } = expected(request.body as JsonObject)
    try {
      const { claims } = await observeVerification(token, () =>
        verifyToken(
          token,
          {
            issuer,
            audience: aud,
            subject: sub,
            keys: (_issuer, kid) => keys.findIn(keyId, kid),
            maxLifetimeSeconds: tokenLifetimeSeconds,
            leewaySeconds: clockToleranceSeconds,
            clock,
            library,
          },
          checks,
        ),
      )
      logAlso(request, { jti: claims.jti })
      outcomes.inc({ outcome: 'valid' })
      sendJson(response, 200, { valid: true, claims })
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      outcomes.inc({ outcome: error.reason })
      logAlso(request, { reason: error.reason })
      // The documented body has jsonwebtoken's error name; this header has the exact reason.
      response.setHeader(REFUSAL_REASON, error.reason)
      sendJson(response, 403, { valid: false, error, claims: {} })
    }
  }
}

/** Checks the members in the documented order: token, audience, subject. */
function expected({ token, aud, sub }: JsonObject) {
  if (token === undefined || token === '') throw requestError(400, 'token_missing', 'no token specified')
  if (aud === undefined || aud === '') throw requestError(400, 'audience_missing', 'no audience specified')
  if (sub === undefined || sub === '') throw requestError(400, 'subject_missing', 'no subject specified')
  // With a list, a token for any of several services would be accepted; a verifier has exactly one audience.
  if (typeof aud !== 'string') throw requestError(400, 'audience_invalid', 'the audience must be a string')
  if (typeof sub !== 'string') throw requestError(400, 'subject_invalid', 'the subject must be a string')
  // verifyToken rejects a token that is not a string.
  return { token: token as string, aud, sub }
}

const requestError = (status: number, code: string, error: string) =>
  new HttpError(status, code, error, { body: { valid: false, error, code } })
