import { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'

/** Requests to end a session that need no question, with the secret by which the library knows their confirmation. */
const confirmed = new WeakMap<IncomingMessage, string>()

/**
 * Called by the library before it asks the user. The ID token of this very session, which the library has verified, says
 * that the client has asked already (OpenID Connect RP-Initiated Logout 1.0 §2); then nothing is sent here, and
 * {@link endSession} goes on.
 */
export function confirmByHint(ctx: KoaContextWithOIDC): boolean {
  const { session, client, entities } = ctx.oidc
  const hint = (entities.IdTokenHint as { payload?: { sub?: unknown; sid?: unknown } } | undefined)?.payload
  const { secret } = (session?.state ?? {}) as { secret?: string }
  if (!session || !client || !hint || secret === undefined) return false
  if (hint.sub !== session.accountId || hint.sid !== session.sidFor(client.clientId)) return false
  confirmed.set(ctx.req, secret)
  ctx.respond = false
  return true
}

/** Everything of the library; where it did not have to ask, it gets its own form as if the user had sent it. */
export function openidConnect(provider: () => Provider): RequestHandler {
  return async (request, response, next) => {
    try {
      const answer = provider().callback()
      await answer(request, response)
      const secret = confirmed.get(request)
      if (secret === undefined) return
      const body = new URLSearchParams({ xsrf: secret, logout: 'yes' }).toString()
      const confirmation = new IncomingMessage(request.socket)
      Object.assign(confirmation, { method: 'POST', url: '/session/end/confirm', complete: true })
      confirmation.headers = {
        ...request.headers,
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': `${body.length}`,
      }
      confirmation.push(body)
      confirmation.push(null)
      await answer(confirmation, response)
    } catch (error) {
      next(error)
    }
  }
}
