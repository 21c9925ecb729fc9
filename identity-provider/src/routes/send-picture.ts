import { notFound } from '@hallpass/service-kit'
import type { RequestHandler } from 'express'
import { picture } from '../pages/picture.ts'
import type { Users } from '../users.ts'

/** `GET /pictures/:user.svg`: the `picture` of a user's claims, for every page that shows them. */
export function sendPicture(users: Users): RequestHandler {
  return (request, response) => {
    const user = users.find(String(request.params.user))
    if (!user) throw notFound('no_such_user', 'There is no such user.')
    response
      .set('cross-origin-resource-policy', 'cross-origin')
      .set('content-security-policy', "default-src 'none'")
      .set('cache-control', 'public, max-age=300')
      .type('svg')
      .send(String(picture(user)))
  }
}
