import type { Assets } from '@hallpass/pages'
import { sendPage } from '@hallpass/pages'
import type { Handler } from '@hallpass/service-kit'
import type Provider from 'oidc-provider'
import { signInPage } from '../pages/index.ts'
import type { Users } from '../users.ts'

/** `GET /interaction/:uid`: shows the login page. The library identifies the login request by a signed cookie. */
export function showSignIn(provider: Provider, users: Users, assets: Assets, webUiUrl: string): Handler {
  return async (request, response) => {
    const { uid, prompt, params } = await provider.interactionDetails(request, response)
    if (prompt.name !== 'login')
      // Consent is granted in advance, whatever a client requests.
      return provider.interactionFinished(
        request,
        response,
        { consent: {} },
        { mergeWithLastSubmission: true },
      )
    const client = await provider.Client.find(String(params.client_id))
    const page = signInPage(assets, {
      uid,
      clientName: client?.clientName ?? 'An application',
      users: users.all,
    })
    sendPage(response, page, { policy: { forms: [webUiUrl] } })
  }
}

/** `POST /interaction/:uid/sign-in`: logs the chosen user in. */
export function signIn(provider: Provider, users: Users): Handler {
  return async (request, response) => {
    const user = users.find(String((request.body as { user?: unknown } | undefined)?.user))
    const result = user
      ? { login: { accountId: user.id } }
      : { error: 'access_denied', error_description: 'User not found.' }
    await provider.interactionFinished(request, response, result)
  }
}

/** `POST /interaction/:uid/cancel`: returns to the client with `access_denied`. */
export function cancelSignIn(provider: Provider): Handler {
  return (request, response) =>
    provider.interactionFinished(request, response, {
      error: 'access_denied',
      error_description: 'The login was canceled.',
    })
}
