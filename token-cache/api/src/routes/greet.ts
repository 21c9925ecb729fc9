import { type AuthorizedRequest, type Handler, sendJson } from '@hallpass/service-kit'

/** Handles `GET /`: returns the subject and the `jti` of the token. */
export const greet: Handler = (request, response) => {
  const { sub, jti } = (request as AuthorizedRequest).token.claims
  response.setHeader('cache-control', 'no-store')
  sendJson(response, 200, { user: sub, jti })
}
