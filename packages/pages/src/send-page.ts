import type { Response } from 'express'
import type { Markup } from './html.ts'

/** What a page is allowed to do. By default, it cannot even run scripts. */
export interface PagePolicy {
  /** Script files of this origin. Inline scripts cannot be allowed. */
  readonly scripts?: boolean
  /** Origins that the page's scripts may call. */
  readonly connect?: readonly string[]
  readonly images?: readonly string[]
  /** Origins to which a form may be submitted, including redirects after the submission. */
  readonly forms?: readonly string[]
}

export interface PageOptions {
  readonly status?: number
  readonly policy?: PagePolicy
}

/** Returns the value of `Content-Security-Policy` for a page (CSP Level 3). */
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

/** Sends a page with `no-store`, because it may contain data that only this user may see. */
export function sendPage(response: Response, page: Markup, options: PageOptions = {}): void {
  response
    .status(options.status ?? 200)
    .set('content-security-policy', contentSecurityPolicy(options.policy))
    .set('cache-control', 'no-store')
    // With `no-referrer`, browsers also send `Origin: null` for forms, which looks like another site's form.
    .set('referrer-policy', 'same-origin')
    .set('permissions-policy', 'camera=(), geolocation=(), microphone=()')
    .type('html')
    .send(`<!doctype html>\n${page}`)
}
