import { randomBytes } from 'node:crypto'
import type { Request, Response } from 'express'
import type { Cookies, VisitorSource } from '../sessions/index.ts'

/** As long as a browser may stay open over a weekend. */
const WATCHER_COOKIE_MS = 3 * 24 * 3600 * 1000
const ANONYMOUS = /^[\w-]{24}$/

/** Returns the watcher: the user who is logged in, or else an anonymous ID of this browser. */
export async function watcherOf(
  request: Request,
  response: Response,
  visitors: VisitorSource,
  cookies: Cookies,
): Promise<string> {
  const { user } = await visitors.identify(request)
  if (user) return user.sub
  const known = cookies.read(request, 'watcher')
  if (known !== undefined && ANONYMOUS.test(known)) return `anonymous:${known}`
  const made = randomBytes(18).toString('base64url')
  cookies.set(response, 'watcher', made, WATCHER_COOKIE_MS)
  return `anonymous:${made}`
}
