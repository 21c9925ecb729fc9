import { IncomingMessage } from 'node:http'
import type { Handler } from '@hallpass/service-kit'
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'

/** Logout requests that need no confirmation, with the secret that the library expects in its confirmation form. */
const confirmed = new WeakMap<IncomingMessage, string>()

/**
 * Called by the library before it asks for confirmation. Returns true if the request has the verified ID token of this
 * session: then the client has already asked the user (OpenID Connect RP-Initiated Logout 1.0 §2), no page is sent, and
 * {@link openidConnect} confirms the logout.
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

/** Handles all of the library's endpoints. Submits its confirmation form for a logout that needs no question. */
export function openidConnect(provider: Provider): Handler {
  return async (request, response, next) => {
    try {
      const answer = provider.callback()
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
