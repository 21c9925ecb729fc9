import { timingSafeEqual } from 'node:crypto'
import { HttpError } from '@hallpass/service-kit'
import type { Request } from 'express'

interface Protected {
  readonly formToken: string
}

/** Returns whether a form is of a page of this session, so that no other site has made the browser send it. */
export function isFormOf(request: Request, session: Protected | undefined): boolean {
  const given = (request.body as { form_token?: unknown } | undefined)?.form_token
  if (typeof given !== 'string' || session === undefined) return false
  const [a, b] = [Buffer.from(given), Buffer.from(session.formToken)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** @throws {HttpError} 403 if the form is not of a page of this session. */
export function requireFormOf(request: Request, session: Protected): void {
  if (!isFormOf(request, session))
    throw new HttpError(
      403,
      'form_token_missing',
      'Missing or wrong form token, perhaps because another tab has logged in since. You are still logged in; reload and retry.',
    )
}
