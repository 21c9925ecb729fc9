import { callerOf } from '@hallpass/callers'
import { type Handler, HttpError, type JsonObject, sendText } from '@hallpass/service-kit'
import type { Request } from 'express'
import { askedBy } from '../audit/index.ts'
import type { Config } from '../config.ts'
import { keyIdOf } from '../keys/index.ts'
import type { IssueToken } from '../oauth/index.ts'

/**
 * `POST /issueToken/:keyId`: issues a token with the claims of the body, signed with the key of the key ID. Only the issuer
 * sets `exp`, `iat`, `nbf` and `jti`. With `?expired=1`, the token expired an hour ago, to demonstrate its rejection.
 */
export function issueToken(issue: IssueToken, { tokenLifetimeSeconds }: Config): Handler {
  return async (request, response) => {
    const keyId = keyIdOf(request)
    const caller = callerOf(request)
    if (caller && caller.keyId !== keyId)
      throw new HttpError(
        403,
        'not_your_key',
        `${caller.subject} is not allowed to get tokens signed as ${keyId}.`,
      )
    const token = await issue({
      keyId,
      caller,
      by: askedBy(request),
      claims: request.body as JsonObject,
      lifetimeSeconds: wantsExpired(request) ? -tokenLifetimeSeconds : tokenLifetimeSeconds,
    })
    // RFC 6749 §5.1
    response.setHeader('cache-control', 'no-store')
    sendText(response, 200, token)
  }
}

/** Returns whether the request has `?expired=` with any value except '', 0 and false; the documented example is 123. */
function wantsExpired(request: Request): boolean {
  const { expired } = request.query
  return expired !== undefined && !['', '0', 'false'].includes(String(expired))
}
