import { type AuthorizedRequest, type Handler, sendJson } from '@hallpass/service-kit'

/** `GET /`: tells the caller whom the token speaks for, and which token it was. */
export const greet: Handler = (request, response) => {
  const { sub, jti } = (request as AuthorizedRequest).token.claims
  response.setHeader('cache-control', 'no-store')
  sendJson(response, 200, { user: sub, jti })
}
