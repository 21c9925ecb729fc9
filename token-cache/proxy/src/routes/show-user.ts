import { type Handler, HttpError } from '@hallpass/service-kit'
import type { Config } from '../config.ts'
import type { KeyValues } from '../operators/index.ts'

/** Handles `GET /status/users/:user`: returns whether a user is blocked, and the keys of its tokens. */
export function showUser(tokens: KeyValues, { tokensPerUser }: Config): Handler {
  return async (request, response) => {
    const user = await tokens.user(request.params.user as string)
    if (!user) throw new HttpError(400, 'malformed_user', 'A user has 1 to 128 visible ASCII characters.')
    response.set('cache-control', 'no-store').json({ ...user, tokensPerUser })
  }
}
