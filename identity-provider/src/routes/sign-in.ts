import type { Assets } from '@hallpass/pages'
import { sendPage } from '@hallpass/pages'
import type { RequestHandler } from 'express'
import type Provider from 'oidc-provider'
import { signInPage } from '../pages/sign-in.ts'
import type { Users } from '../users.ts'

/** `GET /interaction/:uid`: asks who it is. The library knows by a signed cookie which request this answers. */
export function showSignIn(
  provider: () => Provider,
  users: Users,
  assets: Assets,
  webUiUrl: string,
): RequestHandler {
  return async (request, response) => {
    const { uid, prompt, params } = await provider().interactionDetails(request, response)
    if (prompt.name !== 'login')
      // Consent was given beforehand, whatever a client asks for.
      return provider().interactionFinished(
        request,
        response,
        { consent: {} },
        { mergeWithLastSubmission: true },
      )
    const client = await provider().Client.find(String(params.client_id))
    const page = signInPage(assets, {
      uid,
      clientName: client?.clientName ?? 'An application',
      users: users.all,
    })
    sendPage(response, page, { policy: { forms: [webUiUrl] } })
  }
}

/** `POST /interaction/:uid/sign-in`: the user has been picked. */
export function signIn(provider: () => Provider, users: Users): RequestHandler {
  return async (request, response) => {
    const user = users.find(String((request.body as { user?: unknown } | undefined)?.user))
    const result = user
      ? { login: { accountId: user.id } }
      : { error: 'access_denied', error_description: 'There is no such user.' }
    await provider().interactionFinished(request, response, result)
  }
}

/** `POST /interaction/:uid/cancel`: nobody wants to say who they are. */
export function cancelSignIn(provider: () => Provider): RequestHandler {
  return (request, response) =>
    provider().interactionFinished(request, response, {
      error: 'access_denied',
      error_description: 'The sign-in was cancelled.',
    })
}
