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
import { keyIdOf } from '../key-id.ts'
import type { KeyStore } from '../key-store.ts'
import type { RevokedTokens } from '../revoked-tokens.ts'

/**
 * `POST /verify/:keyId` with `token`, `aud` and `sub`: whether this factory signed the token with a key of the key id,
 * for this audience, in the name of this subject. The bodies are the documented ones.
 */
export function verifyIssuedToken(
  keys: KeyStore,
  revoked: RevokedTokens,
  { issuer, tokenLifetimeSeconds, library }: Config,
  clock: Clock,
  outcomes: Counter<'outcome'>,
): Handler {
  return async (request, response) => {
    const ring = keys.get(keyIdOf(request))
    if (!ring) throw refusal(404, 'key_not_found', 'key not found')
    const { token, aud, sub } = expected(request.body as JsonObject)
    try {
      const { claims } = await observeVerification(token, () =>
        verifyToken(token, {
          issuer,
          audience: aud,
          subject: sub,
          keys: (_issuer, kid) => ring.find(kid),
          maxLifetimeSeconds: tokenLifetimeSeconds,
          clock,
          library,
        }),
      )
      logAlso(request, { jti: claims.jti })
      revoked.refuse(claims)
      outcomes.inc({ outcome: 'valid' })
      sendJson(response, 200, { valid: true, claims })
    } catch (error) {
      if (!(error instanceof TokenError)) throw error
      outcomes.inc({ outcome: error.reason })
      logAlso(request, { reason: error.reason })
      // The documented body has jsonwebtoken's names; this one is exact, for the service that repeats the verdict.
      response.setHeader(REFUSAL_REASON, error.reason)
      sendJson(response, 403, { valid: false, error, claims: {} })
    }
  }
}

/** In the order of the documented system: the token, the audience, the subject. */
function expected({ token, aud, sub }: JsonObject) {
  if (token === undefined || token === '') throw refusal(400, 'token_missing', 'no token specified')
  if (aud === undefined || aud === '') throw refusal(400, 'audience_missing', 'no audience specified')
  if (sub === undefined || sub === '') throw refusal(400, 'subject_missing', 'no subject specified')
  // A list would let a token for any of several services pass here; whoever verifies has one name.
  if (typeof aud !== 'string') throw refusal(400, 'audience_invalid', 'the audience must be a text')
  if (typeof sub !== 'string') throw refusal(400, 'subject_invalid', 'the subject must be a text')
  // What is no text is refused by the verifier, in its own words.
  return { token: token as string, aud, sub }
}

const refusal = (status: number, code: string, error: string) =>
  new HttpError(status, code, error, { body: { valid: false, error, code } })
