import { hkdfSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '@hallpass/service-kit'
import type { Response } from 'express'
import type { LoginAttempt } from '../provider/index.ts'
import type { Cookies } from '../sessions/index.ts'

/** Loaded at the first login, because it takes some megabytes. */
const jose = () => import('jose')

/** Time to complete a login page. */
const LOGIN_ATTEMPT_MS = 10 * 60_000
/**
 * The number of concurrent logins. With the longest `returnTo` each adds about 1.2 KB to every request's header, of which
 * proxies accept 8 KB. A further login replaces the oldest.
 */
export const MAX_ATTEMPTS = 5

/**
 * The pending logins of a browser, each sealed into a cookie. So unfinished logins need no memory here, and no other browser
 * can finish them.
 */
export class LoginAttempts {
  readonly #secret: string
  readonly #cookies: Cookies
  readonly #clock: Clock

  /** @param secret RANDOM_SECRET; a key only for this purpose is derived from it (RFC 5869). */
  constructor(secret: string, cookies: Cookies, clock: Clock) {
    this.#secret = secret
    this.#cookies = cookies
    this.#clock = clock
  }

  /** Adds a login to those of the browser. Removes expired ones, and the oldest if there are too many. */
  async begin(request: IncomingMessage, response: Response, attempt: LoginAttempt): Promise<void> {
    const others = await Promise.all(
      this.#cookies
        .readAll(request, 'login-')
        .map(async ([name, sealed]) => ({ name, endsAt: (await this.#open(sealed))?.exp ?? 0 })),
    )
    others.sort((one, other) => other.endsAt - one.endsAt)
    for (const [index, { name, endsAt }] of others.entries())
      if (endsAt === 0 || index >= MAX_ATTEMPTS - 1) this.#cookies.clear(response, name)
    this.#cookies.set(response, `login-${attempt.state}`, await this.#seal(attempt), LOGIN_ATTEMPT_MS)
  }

  /** Returns the pending login with this `state`, or undefined if this browser has none or it has expired. */
  async find(request: IncomingMessage, state: string): Promise<LoginAttempt | undefined> {
    const attempt = await this.#open(this.#cookies.read(request, `login-${state}`))
    // The name of the cookie is not sealed, so check the sealed `state` too.
    return attempt?.state === state ? attempt : undefined
  }

  /** Removes a login, whatever its result. The others are unaffected. */
  end(response: Response, state: string): void {
    this.#cookies.clear(response, `login-${state}`)
  }

  async #seal(attempt: LoginAttempt): Promise<string> {
    const { EncryptJWT } = await jose()
    const now = Math.floor(this.#clock() / 1000)
    return new EncryptJWT({ ...attempt })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setExpirationTime(now + LOGIN_ATTEMPT_MS / 1000)
      .encrypt(this.#key())
  }

  async #open(sealed: string | undefined): Promise<(LoginAttempt & { exp?: number }) | undefined> {
    if (sealed === undefined) return undefined
    const { jwtDecrypt } = await jose()
    try {
      const { payload } = await jwtDecrypt<LoginAttempt>(sealed, this.#key(), {
        currentDate: new Date(this.#clock()),
        keyManagementAlgorithms: ['dir'],
        contentEncryptionAlgorithms: ['A256GCM'],
        requiredClaims: ['exp'],
      })
      return payload
    } catch {
      return undefined
    }
  }

  #key(): Uint8Array {
    return new Uint8Array(hkdfSync('sha256', this.#secret, '', 'hallpass web-ui login attempt', 32))
  }
}
