import { createPublicKey, type KeyObject } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  asStateFileError,
  ensurePrivateFolder,
  parseStateFile,
  readPresent,
  writePrivateFile,
} from '@hallpass/private-files'
import type { Clock, Logger } from '@hallpass/service-kit'
import {
  type Algorithm,
  exportPrivatePem,
  exportPublicPem,
  importSigningKey,
  type SigningKey,
} from '@hallpass/tokens'
import { KeyRing, type RetiredKey } from './key-ring.ts'
import { type KeyStore, named } from './key-store.ts'

/**
 * Matches the files of the `keys/` folder, a pair per key: `servicea-private.pem` and `servicea-public.pem` for the signing
 * key, `servicea.next-…` for the next one, `servicea.retired-<expiry in seconds>-<thumbprint>-…` for retired ones. A key
 * ID has no dot, so it cannot be mistaken for a state.
 */
const FILE =
  /^(?<keyId>[A-Za-z0-9_-]{1,64}?)(?<state>\.next|\.retired-(?<until>\d{10})-[\w-]{22})?-(?<half>private|public)\.pem$/

type State = { readonly is: 'signing' | 'next' } | { readonly is: 'retired'; readonly untilMs: number }

interface SavedKey {
  readonly keyId: string
  readonly state: State
  readonly key: SigningKey
}

const LOST_KEY =
  'Restore it, or delete it and start again: a new key is created, and tokens signed with this one are rejected.'

export interface KeyFilesOptions {
  readonly folder: string
  readonly algorithm: Algorithm
  /** A loaded key may have signed tokens until just now, so it is retired only after this time. */
  readonly tokenLifetimeSeconds: number
  readonly clock: Clock
  readonly log: Logger
}

/** Saves the keys of a store and loads them at the next start. */
export class KeyFiles {
  readonly folder: string
  readonly #options: KeyFilesOptions
  #saving: Promise<void> = Promise.resolve()
  #savedKeyIds = new Set<string>()
  #stopped = false

  constructor(options: KeyFilesOptions) {
    this.folder = options.folder
    this.#options = options
  }

  /** Whether keys are on disk. If so, rotations must be saved, or a restart would restore the old key. */
  get hasSaved(): boolean {
    return this.#savedKeyIds.size > 0
  }

  /** Writes every key, each file atomically with mode 0600, and removes the files of removed keys. */
  save(store: KeyStore): Promise<void> {
    const saved = this.#saving.catch(() => {}).then(() => this.#write(store))
    this.#saving = saved
    return saved
  }

  /** Writes the next key if keys of this key ID are already saved; otherwise does nothing. */
  saveNext(ring: KeyRing): Promise<void> {
    const saved = this.#saving
      .catch(() => {})
      .then(async () => {
        if (!this.#stopped && ring.next && this.#savedKeyIds.has(ring.keyId))
          await this.#writePair(nameOfNext(ring), ring.next)
      })
    this.#saving = saved
    return saved
  }

  /** Waits for pending writes. Keys created afterwards are not saved. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#saving.catch(() => {})
  }

  async #writePair(name: string, key: SigningKey) {
    await writePrivateFile(join(this.folder, `${name}-private.pem`), exportPrivatePem(key))
    await writePrivateFile(join(this.folder, `${name}-public.pem`), exportPublicPem(key))
  }

  async #write(store: KeyStore) {
    const pairs = [...store.rings].flatMap((ring) => [...filesOf(ring)])
    await ensurePrivateFolder(this.folder)
    for (const [name, key] of pairs) await this.#writePair(name, key)
    const current = new Set(pairs.map(([name]) => name))
    const ours = new Set(store.keyIds)
    for (const file of await readdir(this.folder)) {
      const name = file.replace(/-(private|public)\.pem$/, '')
      if (FILE.exec(file)?.groups?.state && ours.has(name.split('.')[0] as string) && !current.has(name))
        await rm(join(this.folder, file), { force: true })
    }
    this.#savedKeyIds = ours
  }

  /**
   * Loads the saved keys into a store. Other files in the folder are logged and ignored.
   * @throws {StateFileError} if a key file does not contain a key for the algorithm
   */
  async load(store: KeyStore): Promise<void> {
    const byKeyId = new Map<string, SavedKey[]>()
    for (const saved of await this.#readAll()) {
      const { keyId } = saved
      byKeyId.set(keyId, [...(byKeyId.get(keyId) ?? []), saved])
    }
    for (const [keyId, keys] of byKeyId) {
      const ring = this.#ringOf(keyId, keys)
      this.#savedKeyIds.add(keyId)
      if (ring) store.add(ring)
      else
        this.#options.log.warn(
          { keyId },
          'no signing key is saved for this key ID; its other keys are ignored',
        )
    }
  }

  #ringOf(keyId: string, keys: readonly SavedKey[]): KeyRing | undefined {
    const { clock, tokenLifetimeSeconds } = this.#options
    const signing = keys.find(({ state }) => state.is === 'signing')?.key
    if (!signing) return undefined
    return new KeyRing(keyId, clock, {
      signing,
      // After an interrupted dump, a key may be saved in two states; signing takes precedence.
      next: keys.find(({ state, key }) => state.is === 'next' && key.kid !== signing.kid)?.key,
      retired: keys.flatMap(({ state, key }): RetiredKey[] =>
        state.is === 'retired' && key.kid !== signing.kid ? [{ key, untilMs: state.untilMs }] : [],
      ),
      signingUntilMs: clock() + tokenLifetimeSeconds * 1000,
    })
  }

  async #readAll(): Promise<SavedKey[]> {
    const { log } = this.#options
    await ensurePrivateFolder(this.folder)
    const entries = await readdir(this.folder, { withFileTypes: true }).catch((error: unknown) => {
      throw asStateFileError(this.folder, error)
    })
    const names = new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name))
    const keys: SavedKey[] = []
    for (const { name } of entries) {
      const groups = FILE.exec(name)?.groups
      const other = name.replace(
        /-(private|public)\.pem$/,
        groups?.half === 'private' ? '-public.pem' : '-private.pem',
      )
      if (!names.has(name) || !groups) log.warn({ file: name }, 'not a key file; ignored')
      else if (!names.has(other)) log.warn({ file: name }, 'the other half of this key is missing; ignored')
      else if (groups.half === 'private') {
        const keyId = groups.keyId as string
        keys.push({ keyId, state: stateOf(groups), key: await this.#readPair(keyId, name, other) })
      }
    }
    return keys
  }

  /** @throws {StateFileError} if the key is invalid, because a signing key must not be replaced silently */
  async #readPair(keyId: string, privateFile: string, publicFile: string): Promise<SigningKey> {
    const { algorithm, log } = this.#options
    const file = join(this.folder, privateFile)
    const key = parseStateFile(
      file,
      await readPresent(file),
      `a private key for ${algorithm} as PEM`,
      (text) => importSigningKey(text, { alg: algorithm }),
      LOST_KEY,
    )
    const publicPath = join(this.folder, publicFile)
    const publicKey = parseStateFile(
      publicPath,
      await readPresent(publicPath),
      'a public key as PEM',
      createPublicKey,
      'Delete both files of this key, or restore this one: openssl pkey -pubout derives it from the private key.',
    )
    if (!isSameKey(publicKey, key.publicKey))
      log.warn({ file: publicFile }, 'does not match its private key; the private key is used')
    return named(keyId, key)
  }
}

const isSameKey = (a: KeyObject, b: KeyObject) => a.equals(b)

/** Lists the files in the order of writing. A rotation moves keys between files; if interrupted, it must not lose one. */
function* filesOf(ring: KeyRing): Iterable<[name: string, key: SigningKey]> {
  for (const { key, untilMs } of ring.retired)
    yield [`${ring.keyId}.retired-${Math.ceil(untilMs / 1000)}-${key.kid.slice(-22)}`, key]
  yield [ring.keyId, ring.signing]
  if (ring.next) yield [nameOfNext(ring), ring.next]
}

const nameOfNext = ({ keyId }: KeyRing) => `${keyId}.next`

function stateOf({ state, until }: Record<string, string | undefined>): State {
  if (until !== undefined) return { is: 'retired', untilMs: Number(until) * 1000 }
  return { is: state === undefined ? 'signing' : 'next' }
}
