import { callerOf } from '@hallpass/callers'
import { recordOf, toHttpError } from '@hallpass/service-kit'
import type { ErrorRequestHandler, Request } from 'express'
import type { AuditEvent } from './audit-entry.ts'
import type { AuditLog } from './audit-log.ts'

const KEY_ID_IN_PATH = /^\/(?:issueToken|verify|keys)\/([A-Za-z0-9_-]{1,64})(?:\/|$)/

/** Returns who sent a request, from where, and the request's ID. */
export function askedBy(request: Request): Pick<AuditEvent, 'actor' | 'client' | 'requestId'> {
  return {
    actor: callerOf(request)?.subject ?? 'open',
    client: request.socket.remoteAddress,
    requestId: recordOf(request)?.requestId,
  }
}

/** Returns what is recorded of a token's claims. */
export const factsOf = ({ jti, sub, aud }: Readonly<Record<string, unknown>>) => ({
  jti: text(jti),
  subject: text(sub),
  audience: text(Array.isArray(aud) ? aud.join(' ') : aud),
})

const text = (value: unknown) => (typeof value === 'string' ? value : undefined)

/**
 * Records requests that are rejected because of who sent them (401, 403), and passes the error on. Registered after the
 * routes. A caller that did not authenticate is `unknown`.
 */
export function auditRefusals(audit: AuditLog): ErrorRequestHandler {
  return (error, request, _response, next) => {
    const { status, code } = toHttpError(error)
    // After the routes, Express has forgotten their parameters.
    const keyId = KEY_ID_IN_PATH.exec(request.path)?.[1]
    if (status === 401 || status === 403)
      void audit.record({
        action: 'refused',
        ...askedBy(request),
        ...(status === 401 ? { actor: 'unknown' } : {}),
        keyId,
        reason: code,
      })
    next(error)
  }
}
