import type { JwtFactoryClient } from '@hallpass/jwt-factory/client'
import { badRequest, type Handler, HttpError, logAlso } from '@hallpass/service-kit'
import { parseCompact } from '@hallpass/tokens'
import type { Config } from '../config.ts'

/** Visible ASCII without a comma, because a comma joins repeated header fields. */
const USER = /^[!-+\--~]{1,128}$/

/** Handles `GET /auth`: returns a token for the API with the user in the `remote-user` field as its subject. */
export function issueForUser(factory: JwtFactoryClient, config: Config): Handler {
  return async (request, response) => {
    const user = request.headers['remote-user']
    if (typeof user !== 'string' || !USER.test(user))
      throw badRequest(
        'no_user',
        'The remote-user field must contain one user name of 1 to 128 visible ASCII characters without a comma.',
      )
    logAlso(request, { userinfo: `${user}:${request.headers['user-agent'] ?? ''}`.slice(0, 256) })
    if (config.deniedUsers.includes(user))
      throw new HttpError(403, 'user_denied', 'This user is not allowed to get tokens. See DENIED_USERS.')
    const token = await factory.issueToken(config.keyId, { aud: config.audience, sub: user })
    logAlso(request, { jti: parseCompact(token).payload.jti })
    response.setHeader('cache-control', 'no-store')
    // RFC 7519 §10.3.1
    response.type('application/jwt').send(token)
  }
}
