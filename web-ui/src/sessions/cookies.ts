import type { IncomingMessage } from 'node:http'
import { parseCookie } from 'cookie'
import type { CookieOptions, Response } from 'express'

/** Each pending login has its own cookie, named after its `state`, so that concurrent logins do not overwrite each other. */
type CookieName = 'session' | `login-${string}` | 'watcher'

/**
 * The cookies of this service. With the prefix `__Host-` browsers accept them only from this host, with `Secure` and the
 * path `/` (RFC 6265bis §4.1.3), so no other host can set one. Browsers do not store such cookies over plain HTTP, except
 * from localhost; INSECURE_COOKIES uses plain cookies with other names.
 */
export class Cookies {
  readonly #prefix: string
  readonly #options: CookieOptions

  constructor({ insecure }: { insecure: boolean }) {
    this.#prefix = insecure ? 'insecure-webui-' : '__Host-webui-'
    // Lax, not Strict: the provider redirects the user back from its own site.
    this.#options = { path: '/', httpOnly: true, sameSite: 'lax', secure: !insecure }
  }

  read(request: IncomingMessage, name: CookieName): string | undefined {
    return parseCookie(request.headers.cookie ?? '')[this.#prefix + name]
  }

  /** Returns the names and values of cookies with a prefix. */
  readAll(request: IncomingMessage, prefix: 'login-'): [name: `login-${string}`, value: string][] {
    const start = this.#prefix + prefix
    return Object.entries(parseCookie(request.headers.cookie ?? ''))
      .filter(([name]) => name.startsWith(start))
      .map(([name, value]) => [`${prefix}${name.slice(start.length)}`, value ?? ''])
  }

  set(response: Response, name: CookieName, value: string, maxAgeMs: number): void {
    response.cookie(this.#prefix + name, value, { ...this.#options, maxAge: maxAgeMs })
  }

  clear(response: Response, name: CookieName): void {
    response.clearCookie(this.#prefix + name, this.#options)
  }
}
