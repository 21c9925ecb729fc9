import type { IncomingMessage } from 'node:http'
import { parseCookie } from 'cookie'
import type { CookieOptions, Response } from 'express'

/** Each login under way has a cookie of its own, named after its `state`: two that begin at once cannot lose each other. */
type CookieName = 'session' | `login-${string}` | 'watcher'

/**
 * The cookies of this service. `__Host-` makes the browser refuse them from another host, from a path, and without
 * `Secure` (RFC 6265bis §4.1.3), so nobody beside this host can plant one. Over plain http beyond localhost browsers
 * do not keep such cookies at all; INSECURE_COOKIES gives them up, by name too, so that it shows.
 */
export class Cookies {
  readonly #prefix: string
  readonly #options: CookieOptions

  constructor({ insecure }: { insecure: boolean }) {
    this.#prefix = insecure ? 'insecure-webui-' : '__Host-webui-'
    // Lax, not Strict: the provider sends the user back by a link from its own site.
    this.#options = { path: '/', httpOnly: true, sameSite: 'lax', secure: !insecure }
  }

  read(request: IncomingMessage, name: CookieName): string | undefined {
    return parseCookie(request.headers.cookie ?? '')[this.#prefix + name]
  }

  /** The names and values of the cookies with a prefix. */
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
