import { HttpError } from '@hallpass/service-kit'
import type { Signers } from '@hallpass/signers'
import { KeyError, type Signer, type SigningKey } from '@hallpass/tokens'
import type { RingKey } from './key-ring.ts'

/**
 * Opened private keys: about 100 MB if an issuer uses so many RSA keys. To open one again and sign with it the first time
 * takes 2.4 ms longer than the next signature.
 */
const MAX_OPENED = 10_000

/** What signs: a private key in this process, or one in an HSM or a key management service. */
export type Opened = SigningKey | Signer

/** The private halves of keys, each opened when it is first used and kept while it is among those used last. */
export class OpenedKeys {
  readonly #signers: Signers
  readonly #byKid = new Map<string, Promise<Opened>>()

  constructor(signers: Signers) {
    this.#signers = signers
  }

  /**
   * Opens the private half of a key.
   * @throws {HttpError} 503 `key_not_usable` if it cannot be used until an operator mends it, 503 `signer_unavailable`
   */
  open({ kid, alg, stored: { signer, reference } }: RingKey): Promise<Opened> {
    const known = this.#byKid.get(kid)
    if (known) {
      this.#keep(kid, known)
      return known
    }
    const { kind } = this.#signers
    if (signer !== kind || reference === undefined)
      return Promise.reject(notUsable(`The private key ${kid} is not in ${kind}. Rotate the key.`))
    const opened = this.#signers.open(reference, alg, kid).catch((error: unknown) => {
      this.#byKid.delete(kid)
      throw error instanceof KeyError ? notUsable(error.message, error) : error
    })
    this.#keep(kid, opened)
    return opened
  }

  /** Takes a private half that has just been made. */
  add(kid: string, opened: Opened): void {
    this.#keep(kid, Promise.resolve(opened))
  }

  forget(kid: string): void {
    this.#byKid.delete(kid)
  }

  /**
   * Says why keys cannot be used, by the example of the first that cannot; undefined if all can, or if it cannot be known now.
   * Ends at the first key that the signers do not answer for: their own check reports that.
   */
  async fault(keys: Iterable<RingKey>): Promise<string | undefined> {
    try {
      for (const key of keys) await this.open(key)
    } catch (error) {
      if (error instanceof HttpError && error.code === 'key_not_usable') return error.message
    }
    return undefined
  }

  #keep(kid: string, opened: Promise<Opened>): void {
    // The order of a Map is that of insertion, so the first is the one that was used longest ago.
    this.#byKid.delete(kid)
    this.#byKid.set(kid, opened)
    const [oldest] = this.#byKid.keys()
    if (this.#byKid.size > MAX_OPENED && oldest !== undefined) this.#byKid.delete(oldest)
  }
}

const notUsable = (message: string, cause?: unknown) =>
  new HttpError(503, 'key_not_usable', message, { cause })
