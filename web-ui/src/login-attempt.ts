import { hkdfSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Clock } from '@hallpass/service-kit'
import type { Response } from 'express'
import type { Cookies } from './cookies.ts'

/** Loaded with the first login: it takes some megabytes. */
const jose = () => import('jose')

/** What this service must remember while the user is away at the provider. */
export interface LoginAttempt {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  readonly returnTo: string
}

/** Time to answer a login page. */
const LOGIN_ATTEMPT_MS = 10 * 60_000
/**
 * Tabs that may log in at once. With the longest `returnTo` each takes some 1.2 KB of every request's header, and proxies
 * take 8 KB; past that the oldest is given up.
 */
export const MAX_ATTEMPTS = 5

/**
 * The logins under way in a browser, each sealed into a cookie of that browser, so that a thousand visitors who never
 * come back cost no memory here, and so that nobody else's browser can finish them.
 */
export class LoginAttempts {
  readonly #secret: () => string
  readonly #cookies: Cookies
  readonly #clock: Clock

  /** @param secret RANDOM_SECRET; the key is derived from it for this purpose alone (RFC 5869). */
  constructor(secret: () => string, cookies: Cookies, clock: Clock) {
    this.#secret = secret
    this.#cookies = cookies
    this.#clock = clock
  }

  /** Adds one to those of the browser; gives up the oldest where there are too many, and what is no attempt any more. */
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

  /** The attempt with this `state`, or `undefined` when this browser began none, or too long ago. */
  async find(request: IncomingMessage, state: string): Promise<LoginAttempt | undefined> {
    const attempt = await this.#open(this.#cookies.read(request, `login-${state}`))
    // The name of a cookie is not sealed.
    return attempt?.state === state ? attempt : undefined
  }

  /** Ends one, whatever came of it; the others go on. */
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
    return new Uint8Array(hkdfSync('sha256', this.#secret(), '', 'hallpass web-ui login attempt', 32))
  }
}
