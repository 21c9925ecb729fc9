import { join } from 'node:path'
import {
  parseStateFile,
  readIfThere,
  readPrivateIfThere,
  writePrivateFile,
  writePublicFile,
} from '@hallpass/private-files'
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

/** How long a key stays after its last token has expired, for verifiers whose clock is slow. */
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
 * The private key with which service A signs its tokens, readable only by A, and the folder in which callees find the
 * public half: `jwt-public.pem` for people, `jwks.json` for B and C. After a rotation the JWKS also contains the old
 * public key, until the last token that it verifies has expired.
 */
export class SigningKeys {
  readonly folder: string
  readonly #options: SigningKeysOptions
  #current: SigningKey | undefined
  #stranger: Promise<SigningKey> | undefined
  /** When the current key became active, as far as this process knows. */
  #sinceMs = 0
  #old: readonly OldKey[] = []
  #writing: Promise<unknown> = Promise.resolve()
  #cancelCleanUp: (() => void) | undefined

  constructor(options: SigningKeysOptions) {
    this.folder = keysFolderOf(options.stateFolder)
    this.#options = options
  }

  /** Loads the keys of an earlier run. */
  async load(): Promise<void> {
    const pem = await readPrivateIfThere(this.#options.privateKeyFile)
    if (pem === undefined) return
    const { privateKeyFile } = this.#options
    const current = parseStateFile(privateKeyFile, pem, 'an RSA private key in PEM format', (text) =>
      importSigningKey(text, { alg: 'RS256' }),
    )
    this.#current = current
    this.#sinceMs = this.#options.clock()
    const setFile = join(this.folder, 'jwks.json')
    const set = await readIfThere(setFile)
    // It is unknown when they were replaced, so they stay as long as if it had been now.
    const others =
      set === undefined
        ? []
        : parseStateFile(setFile, set, 'a valid JWKS', (text) => parseJwks(JSON.parse(text))).filter(
            ({ kid }) => kid !== current.kid,
          )
    this.#retire(others)
    await this.#publish()
  }

  get exist(): boolean {
    return this.#current !== undefined
  }

  /** Returns the keys that callees find in the folder, with their states. */
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
   * Signs a token for `audience`, optionally an expired one or one signed with an unknown key.
   * @throws {HttpError} 503 `keys_missing`, with the step that creates them
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

  /** Creates the unknown key once, on first use: an RSA key costs as much as a thousand tokens. */
  #makeStranger(): Promise<SigningKey> {
    this.#stranger ??= generateSigningKey('RS256')
    return this.#stranger
  }

  /** Creates a new key, which signs as soon as callees can find it. Rotations run one after another. */
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
      // If this fails, the key stays in the JWKS until the next rotation; it verifies no unexpired token.
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
