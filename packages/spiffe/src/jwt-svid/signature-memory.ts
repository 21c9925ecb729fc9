import { hash, type KeyObject } from 'node:crypto'
import { verifies } from './algorithms.ts'

/** A service has fewer callers with a token at a time; some 500 KB when full. */
const MAX_ENTRIES = 5000

/** Which key has made which signature, of those that were good; nothing is remembered of those that were not. */
export class SignatureMemory {
  readonly #keys = new Map<string, KeyObject>()

  readonly verifies = (alg: string, key: KeyObject, signingInput: string, signature: Buffer): boolean => {
    // The algorithm is in the signing input, and so is all else that the signature covers.
    const id = hash('sha256', `${signingInput}.${signature.toString('base64url')}`, 'base64')
    const known = this.#keys.get(id)
    if (known) this.#keys.delete(id) // The end of a Map is where the newest stands.
    // The same object: a key that left its bundle and came back is asked again.
    if (known !== key && !verifies(alg, key, signingInput, signature)) return false
    this.#keys.set(id, key)
    if (this.#keys.size > MAX_ENTRIES) {
      const [oldest] = this.#keys.keys()
      this.#keys.delete(oldest as string)
    }
    return true
  }
}
