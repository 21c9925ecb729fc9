import { ConfigError } from '@hallpass/service-kit'
import { CK, newPkcs11, type Pkcs11, returnValueOf } from './pkcs11js.ts'

/** A signature takes a millisecond and a key pair seconds, so what takes longer hangs in the library. */
const DRAIN_MS = 5_000

/**
 * A token's library, e.g. `libsofthsm2.so`, loaded once per process: PKCS#11 has one state per process and file. It counts
 * the calls that are under way, because a library may crash if it is finalized meanwhile. Node never forks, so each process
 * (also of `node:cluster`) initializes it for itself; a worker thread finds it initialized.
 */
export class Library {
  static readonly #loaded = new Map<string, Library>()
  readonly pkcs11: Pkcs11
  readonly #path: string
  #users = 0
  #initialized = false
  /** Whether this object has initialized the library, and so must finalize it. */
  #isOurs = false
  #generation = 0
  #underWay = 0
  #onIdle: (() => void) | undefined
  #renewing: Promise<void> | undefined

  /**
   * Loads a library, or returns the loaded one.
   * @throws {ConfigError} if `pkcs11js` is not installed, or the file is no such library.
   */
  static load(path: string): Library {
    const library = Library.#loaded.get(path) ?? new Library(path)
    Library.#loaded.set(path, library)
    library.#users += 1
    return library
  }

  private constructor(path: string) {
    this.pkcs11 = newPkcs11()
    this.#path = path
    try {
      this.pkcs11.load(path)
    } catch (cause) {
      throw new ConfigError([`PKCS11_MODULE ${path} is not a PKCS#11 library (${(cause as Error).message})`])
    }
  }

  /** Changes when all sessions and handles have become invalid. */
  get generation(): number {
    return this.#generation
  }

  /** Runs calls of the library. It is not finalized before they return. */
  async use<T>(work: (pkcs11: Pkcs11) => Promise<T>): Promise<T> {
    while (this.#renewing !== undefined) await this.#renewing.catch(() => {})
    this.#underWay += 1
    try {
      this.#initialize()
      return await work(this.pkcs11)
    } finally {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#onIdle?.()
    }
  }

  /** Finalizes and initializes the library, which finds tokens that have come back; once for all who saw a generation. */
  async renew(seen: number): Promise<void> {
    if (seen !== this.#generation) return
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined
    })
    await this.#renewing
  }

  /** Finalizes and unloads the library when its last user has closed it. */
  async close(): Promise<void> {
    this.#users -= 1
    if (this.#users > 0) return
    Library.#loaded.delete(this.#path)
    // A library that hangs is left as it is: the process ends soon.
    if (!(await this.#drained())) return
    this.#finalize()
    this.pkcs11.close()
  }

  async #renew() {
    if (!(await this.#drained())) throw new Error('a call of the library does not return')
    this.#finalize()
    this.#initialize()
  }

  #initialize() {
    if (this.#initialized) return
    try {
      this.pkcs11.C_Initialize({ flags: CK.OS_LOCKING_OK })
      this.#isOurs = true
    } catch (error) {
      if (returnValueOf(error) !== 'CKR_CRYPTOKI_ALREADY_INITIALIZED') throw error
      this.#isOurs = false
    }
    this.#initialized = true
  }

  #finalize() {
    this.#generation += 1
    if (!this.#initialized) return
    this.#initialized = false
    if (!this.#isOurs) return
    try {
      this.pkcs11.C_Finalize()
    } catch {
      // Some libraries report the loss of the device here, too. Initializing shows what works.
    }
  }

  /** Waits until no call is under way; false if one does not return. */
  async #drained(): Promise<boolean> {
    if (this.#underWay === 0) return true
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), DRAIN_MS)
      this.#onIdle = () => {
        this.#onIdle = undefined
        clearTimeout(timer)
        resolve(true)
      }
    })
  }
}
