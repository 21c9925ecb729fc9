import type { AuthorizedRequest } from '@hallpass/service-kit'
import type { Request, Response } from 'express'

/** `GET /`: tells the caller whom the token speaks for, and which token it was. */
export function greet(request: Request, response: Response): void {
  const { sub, jti } = (request as AuthorizedRequest).token.claims
  response.setHeader('cache-control', 'no-store')
  response.json({ user: sub, jti })
}
