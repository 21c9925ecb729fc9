import { hkdfSync } from 'node:crypto'
import type { Clock } from '@hallpass/service-kit'

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
export const LOGIN_ATTEMPT_MS = 10 * 60_000

/**
 * Seals login attempts into a cookie of the browser that began them, so that a thousand visitors who never come
 * back cost no memory here, and so that nobody else's browser can finish them.
 */
export class LoginAttempts {
  readonly #secret: () => string
  readonly #clock: Clock

  /** @param secret RANDOM_SECRET; the key is derived from it for this purpose alone (RFC 5869). */
  constructor(secret: () => string, clock: Clock) {
    this.#secret = secret
    this.#clock = clock
  }

  async seal(attempt: LoginAttempt): Promise<string> {
    const { EncryptJWT } = await jose()
    const now = Math.floor(this.#clock() / 1000)
    return new EncryptJWT({ ...attempt })
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
      .setExpirationTime(now + LOGIN_ATTEMPT_MS / 1000)
      .encrypt(this.#key())
  }

  /** The attempt, or `undefined` when it is not one of ours or is too old. */
  async open(sealed: string | undefined): Promise<LoginAttempt | undefined> {
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
