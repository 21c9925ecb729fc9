import { createHash } from 'node:crypto'
import { readOwnerOnlyFile, StateFileError } from '@hallpass/private-files'
import { callAfter } from '@hallpass/untrusted/timers'
import { SignerUnavailableError } from '../signers.ts'
import { Library } from './library.ts'
import { CK, type Handle, type Pkcs11, returnValueOf } from './pkcs11js.ts'

export interface TokenOptions {
  /** The token's library, e.g. `/usr/lib/softhsm/libsofthsm2.so`. */
  readonly module: string
  /** The token's label. */
  readonly token: string
  /** A file with the user PIN, readable only by its owner. */
  readonly pinFile: string
  /** Operations that run concurrently. Each occupies a thread of Node's pool, which file access and DNS need, too. */
  readonly sessions: number
}

/** Longer than any signature; a client of the issuer gives up after five seconds. */
const OPERATION_MS = 4_000
/** A prime pair in a small token takes up to half a minute. */
export const KEY_PAIR_MS = 30_000
/** A second of signatures of a slow token: what waits longer is not worth signing. */
const MAX_WAITING = 1_000
/** A lost token is looked for once per second, and not by each request. */
const RENEWAL_PAUSE_MS = 1_000

/** Return values that blame the request or the configuration: a new session would get the same one. */
const NOT_LOST =
  /^CKR_(MECHANISM|KEY_TYPE|KEY_SIZE|KEY_FUNCTION|FUNCTION_NOT_SUPPORTED|DATA|ATTRIBUTE|TEMPLATE|PIN|ARGUMENTS|CURVE|DOMAIN|HOST_MEMORY|DEVICE_MEMORY|SESSION_COUNT)/

/** What an operation may use: a logged-in session of its own. */
export interface Session {
  readonly pkcs11: Pkcs11
  readonly slot: Handle
  readonly handle: Handle
  /** Handles of objects that were found, valid as long as the login. */
  readonly objects: Map<string, Handle>
  /** Memory that a thread of the pool reads or writes; `pkcs11js` does not keep it from the garbage collector. */
  buffers: readonly Buffer[]
}

interface Login {
  readonly generation: number
  readonly slot: Handle
  readonly objects: Map<string, Handle>
  readonly idle: Handle[]
  open: number
}

/**
 * A logged-in PKCS#11 token with a bounded pool of sessions. After the token was lost (removed, its daemon restarted, its
 * session ended), the next operation finds it again and logs in.
 */
export class Token {
  readonly system: string
  readonly #options: TokenOptions
  readonly #library: Library
  #login: Login | undefined
  #loggingIn: Promise<Login> | undefined
  readonly #waiting: (() => void)[] = []
  /** The hash of a PIN that was rejected: another attempt could lock the token. */
  #rejectedPin: string | undefined
  #lost: { readonly atMs: number; readonly error: unknown } | undefined

  /** @throws {ConfigError} if `pkcs11js` is not installed, or the module is no PKCS#11 library. */
  constructor(options: TokenOptions) {
    this.system = `PKCS#11 token ${options.token}`
    this.#options = options
    this.#library = Library.load(options.module)
  }

  /**
   * Runs an operation in a session of its own, and once more if the token had been lost.
   * @throws {SignerUnavailableError} if the token does not do it; errors other than the library's are passed on.
   */
  async run<T>(work: (session: Session) => Promise<T> | T, limitMs = OPERATION_MS): Promise<T> {
    const seen = this.#library.generation
    try {
      return await this.#runOnce(work, limitMs)
    } catch (error) {
      if (!this.#isLost(error)) throw this.#shown(error)
      await this.#renew(seen, error)
    }
    try {
      const result = await this.#runOnce(work, limitMs)
      this.#lost = undefined
      return result
    } catch (error) {
      if (this.#isLost(error)) this.#lost = { atMs: performance.now(), error }
      throw this.#shown(error)
    }
  }

  /** Waits for the operations that are under way, and logs out. */
  async close(): Promise<void> {
    const login = this.#login
    this.#login = undefined
    if (login)
      await this.#library.use(async (pkcs11) => {
        for (const handle of login.idle) quietly(() => pkcs11.C_CloseSession(handle))
      })
    await this.#library.close()
  }

  #isLost(error: unknown): boolean {
    if (error instanceof LostTokenError) return true
    const value = returnValueOf(error)
    return value !== undefined && !NOT_LOST.test(value)
  }

  #shown(error: unknown): unknown {
    const fault = returnValueOf(error) ?? (error instanceof LostTokenError ? error.message : undefined)
    if (fault === undefined) return error
    return new SignerUnavailableError(this.system, fault, error)
  }

  async #renew(seen: number, error: unknown) {
    const lost = this.#lost
    if (lost && seen === this.#library.generation && performance.now() - lost.atMs < RENEWAL_PAUSE_MS)
      throw this.#shown(error)
    try {
      await this.#library.renew(seen)
    } catch (cause) {
      throw new SignerUnavailableError(this.system, returnValueOf(cause) ?? (cause as Error).message, cause)
    }
  }

  /** Gives up after the limit, but keeps the session until the library returns. */
  async #runOnce<T>(work: (session: Session) => Promise<T> | T, limitMs: number): Promise<T> {
    let cancel = () => {}
    const givenUp = new Promise<never>((_, reject) => {
      cancel = callAfter(
        limitMs,
        () => reject(new SignerUnavailableError(this.system, `no answer within ${limitMs} ms`)),
        { keepAlive: true },
      )
    })
    const done = this.#library.use((pkcs11) => this.#inSession(pkcs11, work))
    try {
      return await Promise.race([done, givenUp])
    } finally {
      cancel()
      // If it was given up, nobody else hears of its failure.
      done.catch(() => {})
    }
  }

  async #inSession<T>(pkcs11: Pkcs11, work: (session: Session) => Promise<T> | T): Promise<T> {
    const { login, handle } = await this.#acquire(pkcs11)
    const session: Session = { pkcs11, slot: login.slot, handle, objects: login.objects, buffers: [] }
    let isClean = false
    try {
      const result = await work(session)
      isClean = true
      return result
    } finally {
      session.buffers = []
      this.#release(pkcs11, login, handle, isClean)
    }
  }

  async #acquire(pkcs11: Pkcs11): Promise<{ readonly login: Login; readonly handle: Handle }> {
    for (;;) {
      const login = await this.#loggedIn(pkcs11)
      const idle = login.idle.pop()
      if (idle) return { login, handle: idle }
      if (login.open < this.#options.sessions) {
        const handle = openSession(pkcs11, login.slot)
        login.open += 1
        return { login, handle }
      }
      if (this.#waiting.length >= MAX_WAITING)
        throw new SignerUnavailableError(this.system, `${MAX_WAITING} operations wait for it`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #release(pkcs11: Pkcs11, login: Login, handle: Handle, isClean: boolean) {
    // A session that failed may still have an operation under way, which would make the next one fail.
    if (isClean && this.#login === login) login.idle.push(handle)
    else if (login.open > 1) {
      login.open -= 1
      quietly(() => pkcs11.C_CloseSession(handle))
    } else {
      // The last session holds the login.
      login.open = 0
      if (this.#login === login) this.#login = undefined
      quietly(() => pkcs11.C_CloseSession(handle))
    }
    this.#waiting.shift()?.()
  }

  async #loggedIn(pkcs11: Pkcs11): Promise<Login> {
    if (this.#login?.generation === this.#library.generation) return this.#login
    this.#loggingIn ??= this.#logIn(pkcs11).finally(() => {
      this.#loggingIn = undefined
    })
    return this.#loggingIn
  }

  async #logIn(pkcs11: Pkcs11): Promise<Login> {
    const pin = await this.#readPin()
    const { generation } = this.#library
    const slot = this.#findSlot(pkcs11)
    const handle = openSession(pkcs11, slot)
    try {
      pkcs11.C_Login(handle, CK.USER, pin.text)
    } catch (error) {
      const value = returnValueOf(error)
      if (value !== 'CKR_USER_ALREADY_LOGGED_IN') {
        if (value?.startsWith('CKR_PIN')) this.#rejectedPin = pin.hash
        quietly(() => pkcs11.C_CloseSession(handle))
        throw error
      }
    }
    this.#login = { generation, slot, objects: new Map(), idle: [handle], open: 1 }
    return this.#login
  }

  async #readPin() {
    const { pinFile } = this.#options
    const text = await readPinFile(pinFile).catch((cause: unknown) => {
      throw new SignerUnavailableError(this.system, 'PKCS11_PIN_FILE cannot be used', cause)
    })
    const hash = createHash('sha256').update(text).digest('hex')
    if (hash === this.#rejectedPin)
      throw new SignerUnavailableError(
        this.system,
        'it rejected the PIN in PKCS11_PIN_FILE, which is not tried again until the file changes',
      )
    return { text, hash }
  }

  #findSlot(pkcs11: Pkcs11): Handle {
    const { token } = this.#options
    const found = pkcs11
      .C_GetSlotList(true)
      .map((slot) => ({ slot, ...pkcs11.C_GetTokenInfo(slot) }))
      .filter(({ label }) => label.replace(/[ \0]+$/, '') === token)
    const [first] = found
    if (!first) throw new LostTokenError('it is not present')
    if (found.length > 1)
      throw new SignerUnavailableError(this.system, `${found.length} tokens have this label`)
    if ((first.flags & (CK.USER_PIN_FINAL_TRY | CK.USER_PIN_LOCKED)) !== 0)
      throw new SignerUnavailableError(
        this.system,
        'one more wrong PIN locks it, or it is locked: log in once by hand with the right PIN',
      )
    return first.slot
  }
}

/** The token is not there, although its library works. */
class LostTokenError extends Error {}

const openSession = (pkcs11: Pkcs11, slot: Handle) =>
  pkcs11.C_OpenSession(slot, CK.SERIAL_SESSION | CK.RW_SESSION)

/** Reads a PIN: one line. @throws {StateFileError} */
export async function readPinFile(path: string): Promise<string> {
  const pin = (await readOwnerOnlyFile(path)).replace(/\r?\n$/, '')
  if (!/^[\x20-\x7e]+$/.test(pin))
    throw new StateFileError(path, 'not a PIN', 'Write the PIN of the token into it, as one line.')
  return pin
}

function quietly(work: () => void) {
  try {
    work()
  } catch {
    // The session is gone already.
  }
}
