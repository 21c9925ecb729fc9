import { join } from 'node:path'
import { parseStateFile, readIfThere, writePrivateFile, writePublicFile } from '@hallpass/private-files'
import type { Clock } from '@hallpass/service-kit'
import {
  exportPrivatePem,
  exportPublicPem,
  generateSigningKey,
  importSigningKey,
  libraries,
  parseJwks,
  publicJwks,
  type SigningKey,
  signToken,
  type TokenLibrary,
  type VerificationKey,
} from '@hallpass/tokens'
import { callAfter } from '@hallpass/untrusted/timers'
import { keysFolderOf, keysMissing, SERVICE_A, SERVICE_A_ISSUER } from './identity.ts'

/** After the last token of an old key has expired, its key stays this long for verifiers whose clock is late. */
const MARGIN_MS = 10_000

interface OldKey {
  readonly key: VerificationKey
  readonly sinceMs: number
  readonly untilMs: number
}

export interface SigningKeysOptions {
  readonly stateFolder: string
  readonly privateKeyFile: string
  readonly tokenLifetimeSeconds: number
  readonly clock: Clock
  readonly library?: TokenLibrary
}

/**
 * The key with which service A signs for itself, for A alone, and the folder in which callees find its public half:
 * `jwt-public.pem` for people, `jwks.json` for B and C. After a rotation the key set
 * holds the old public key, too, until the last token that it verifies has expired.
 */
export class SigningKeys {
  readonly folder: string
  readonly #options: SigningKeysOptions
  #current: SigningKey | undefined
  #stranger: Promise<SigningKey> | undefined
  /** Since when it signs, as far as this process knows. */
  #sinceMs = 0
  #old: readonly OldKey[] = []
  #writing: Promise<unknown> = Promise.resolve()
  #cancelCleanUp: (() => void) | undefined

  constructor(options: SigningKeysOptions) {
    this.folder = keysFolderOf(options.stateFolder)
    this.#options = options
  }

  /** Finds the keys of an earlier start. */
  async load(): Promise<void> {
    const pem = await readIfThere(this.#options.privateKeyFile)
    if (pem === undefined) return
    const { privateKeyFile } = this.#options
    const current = parseStateFile(privateKeyFile, pem, 'a private RSA key as PEM', (text) =>
      importSigningKey(text, { alg: 'RS256' }),
    )
    this.#current = current
    this.#sinceMs = this.#options.clock()
    const setFile = join(this.folder, 'jwks.json')
    const set = await readIfThere(setFile)
    // Nobody knows when they were replaced, so they stay as long as if it had been now.
    const others =
      set === undefined
        ? []
        : parseStateFile(setFile, set, 'a key set (JWKS)', (text) => parseJwks(JSON.parse(text))).filter(
            ({ kid }) => kid !== current.kid,
          )
    this.#retire(others)
    await this.#publish()
  }

  get exist(): boolean {
    return this.#current !== undefined
  }

  /** What callees find in the folder, with the state of each key. */
  get states() {
    const now = this.#options.clock()
    const old = this.#old.filter(({ untilMs }) => untilMs > now)
    return [
      ...(this.#current
        ? [
            {
              kid: this.#current.kid,
              alg: this.#current.alg,
              state: 'signing' as const,
              sinceMs: this.#sinceMs,
            },
          ]
        : []),
      ...old.map(({ key, sinceMs, untilMs }) => ({
        kid: key.kid,
        alg: key.alg,
        state: 'retired' as const,
        sinceMs,
        untilMs,
      })),
    ]
  }

  /**
   * A token for `audience`; or one that has expired already, or that a key signed which nobody knows.
   * @throws {HttpError} 503 `keys_missing`, with the step that makes them.
   */
  async sign(audience: string, { expired = false, strangerKey = false } = {}): Promise<string> {
    if (!this.#current) throw keysMissing()
    const key = strangerKey ? { ...(await this.#makeStranger()), kid: this.#current.kid } : this.#current
    const { tokenLifetimeSeconds, clock, library = libraries['node-crypto'] } = this.#options
    return signToken({ iss: SERVICE_A_ISSUER, sub: SERVICE_A, aud: audience }, key, {
      lifetimeSeconds: expired ? -tokenLifetimeSeconds : tokenLifetimeSeconds,
      clock,
      library,
    })
  }

  /** Made once, at the first wish: an RSA key costs as much as a thousand tokens. */
  #makeStranger(): Promise<SigningKey> {
    this.#stranger ??= generateSigningKey('RS256')
    return this.#stranger
  }

  /** Makes a new key; it signs as soon as callees can find it. Rotations come one after the other. */
  rotate(): Promise<void> {
    const done = this.#writing.catch(() => {}).then(() => this.#rotate())
    this.#writing = done
    return done
  }

  stop(): void {
    this.#cancelCleanUp?.()
  }

  async #rotate() {
    const next = await generateSigningKey('RS256')
    const before = this.#old
    if (this.#current) this.#retire([this.#current])
    try {
      await this.#publish(next)
      await writePrivateFile(this.#options.privateKeyFile, exportPrivatePem(next))
    } catch (error) {
      this.#old = before
      throw error
    }
    this.#current = next
    this.#sinceMs = this.#options.clock()
  }

  #retire(keys: readonly VerificationKey[]) {
    const sinceMs = this.#options.clock()
    const untilMs = sinceMs + this.#options.tokenLifetimeSeconds * 1000 + MARGIN_MS
    this.#old = [...this.#old, ...keys.map((key) => ({ key, sinceMs, untilMs }))]
    this.#cancelCleanUp?.()
    this.#cancelCleanUp = callAfter(untilMs - sinceMs, () => {
      // When this fails, the key stays in the set until the next rotation, and verifies nothing that lives.
      this.#writing = this.#writing.then(() => this.#publish()).catch(() => {})
    })
  }

  async #publish(current = this.#current) {
    if (!current) return
    const now = this.#options.clock()
    this.#old = this.#old.filter(({ untilMs }) => untilMs > now)
    const keys = [current, ...this.#old.map(({ key }) => key)]
    await writePublicFile(join(this.folder, 'jwks.json'), `${JSON.stringify(publicJwks(keys), null, 2)}\n`)
    await writePublicFile(join(this.folder, 'jwt-public.pem'), exportPublicPem(current))
  }
}
