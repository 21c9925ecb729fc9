import type { Response } from 'express'
import type { Markup } from './html.ts'

/** What a page may do beyond showing itself; by default it may not even run a script. */
export interface PagePolicy {
  /** Scripts of this origin, as files; there is no way to allow one inside the page. */
  readonly scripts?: boolean
  /** Origins that its scripts may call. */
  readonly connect?: readonly string[]
  readonly images?: readonly string[]
  /** Origins to which a form may lead, also by a redirect after this origin has taken it. */
  readonly forms?: readonly string[]
}

export interface PageOptions {
  readonly status?: number
  readonly policy?: PagePolicy
}

/** The value of `Content-Security-Policy` for a page (CSP Level 3). */
export function contentSecurityPolicy(policy: PagePolicy = {}): string {
  const { scripts = false, connect = [], images = [], forms = [] } = policy
  const list = (...sources: readonly string[]) => (sources.length === 0 ? "'none'" : sources.join(' '))
  return [
    "default-src 'none'",
    "style-src 'self'",
    "font-src 'self'",
    `img-src ${list("'self'", ...images)}`,
    `script-src ${scripts ? "'self'" : "'none'"}`,
    `connect-src ${list(...connect)}`,
    `form-action ${list("'self'", ...forms)}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
}

/** Sends a page. It may hold what only its reader may see, so no cache keeps it. */
export function sendPage(response: Response, page: Markup, options: PageOptions = {}): void {
  response
    .status(options.status ?? 200)
    .set('content-security-policy', contentSecurityPolicy(options.policy))
    .set('cache-control', 'no-store')
    // Without any referrer browsers hide the origin of a form too, and then it looks like a stranger's.
    .set('referrer-policy', 'same-origin')
    .set('permissions-policy', 'camera=(), geolocation=(), microphone=()')
    .type('html')
    .send(`<!doctype html>\n${page}`)
}
