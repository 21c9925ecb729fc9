import { type Handler, notFound } from '@hallpass/service-kit'
import { picture } from '../pages/index.ts'
import type { Users } from '../users.ts'

/** `GET /pictures/:user.svg`: sends a user's picture, the URL in the `picture` claim. */
export function sendPicture(users: Users): Handler {
  return (request, response) => {
    const user = users.find(String(request.params.user))
    if (!user) throw notFound('no_such_user', 'User not found.')
    response
      .set('cross-origin-resource-policy', 'cross-origin')
      .set('content-security-policy', "default-src 'none'")
      .set('cache-control', 'public, max-age=300')
      .type('svg')
      .send(String(picture(user)))
  }
}
