import type { JwtFactoryClient } from '@hallpass/jwt-factory/client'
import { badRequest, HttpError, logAlso } from '@hallpass/service-kit'
import { parseCompact } from '@hallpass/tokens'
import type { RequestHandler } from 'express'
import type { Config } from '../config.ts'

/** A name, not a text: visible ASCII without the comma, with which two fields of the same name are joined. */
const USER = /^[!-+\--~]{1,128}$/

/** `GET /auth`: a token whose subject is the user of the `remote-user` field, for the API and nobody else. */
export function issueForUser(factory: JwtFactoryClient, config: Config): RequestHandler {
  return async (request, response) => {
    const user = request.headers['remote-user']
    if (typeof user !== 'string' || !USER.test(user))
      throw badRequest('no_user', 'The field remote-user must name one user.')
    logAlso(request, { userinfo: `${user}:${request.headers['user-agent'] ?? ''}`.slice(0, 256) })
    if (config.deniedUsers.includes(user))
      throw new HttpError(403, 'user_denied', 'This user gets no tokens.')
    const token = await factory.issueToken(config.keyId, { aud: config.audience, sub: user })
    logAlso(request, { jti: parseCompact(token).payload.jti })
    response.setHeader('cache-control', 'no-store')
    // RFC 7519 §10.3.1
    response.type('application/jwt').send(token)
  }
}
