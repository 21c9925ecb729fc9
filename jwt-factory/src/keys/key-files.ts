import { createPrivateKey, createPublicKey } from 'node:crypto'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  asStateFileError,
  assertPrivate,
  ensurePrivateFolder,
  parseStateFile,
  readPresent,
  removeLeftParts,
  writePrivateFile,
} from '@hallpass/private-files'
import { type Clock, HttpError, type Logger } from '@hallpass/service-kit'
import { named, type Signers } from '@hallpass/signers'
import {
  ALGORITHMS,
  type Algorithm,
  exportPrivatePem,
  exportPublicPem,
  fits,
  importSigningKey,
  importVerificationKey,
  KeyError,
  type SigningKey,
  type VerificationKey,
} from '@hallpass/tokens'
import { KeyRing, newKey, type RingKey } from './key-ring.ts'
import type { KeyStore } from './key-store.ts'

/**
 * Matches the files of the `keys/` folder, a pair per key: `servicea-private.pem` and `servicea-public.pem` for the signing
 * key, `servicea.next-…` for the next one; `servicea.retired-<expiry in seconds>-<thumbprint>-public.pem` for retired ones,
 * whose private halves no longer exist (earlier releases kept them). A key ID has no dot, so it cannot be mistaken for a
 * state.
 */
const FILE =
  /^(?<keyId>[A-Za-z0-9_-]{1,64}?)(?<state>\.next|\.retired-(?<until>\d{10})-[\w-]{22})?-(?<half>private|public)\.pem$/

type State = { readonly is: 'signing' | 'next' } | { readonly is: 'retired'; readonly untilMs: number }

/** The files of one key. */
interface SavedFiles {
  readonly keyId: string
  readonly state: State
  readonly privateFile: string | undefined
  readonly publicFile: string
}

type SavedKey = SavedFiles & { readonly key: SigningKey | VerificationKey<Algorithm> }

const LOST_KEY =
  'Restore it, or delete it and start again: a new key is created, and tokens signed with this one are rejected.'

export interface KeyFilesOptions {
  readonly folder: string
  /** Of an imported RSA key, whose file does not tell whether it is for RS256 or PS256. */
  readonly algorithm: Algorithm
  readonly signers: Signers
  /** How long a signing key verifies that cannot be taken over. */
  readonly retiredForMs: number
  readonly clock: Clock
  readonly log: Logger
}

/**
 * The keys as PEM files: a copy of the store, written on request, for backups and for other programs. At the start, keys of
 * key IDs that the store does not know are imported from it. The store decides; a file never replaces a stored key.
 */
export class KeyFiles {
  readonly folder: string
  readonly #options: KeyFilesOptions
  #writing: Promise<void> = Promise.resolve()

  constructor(options: KeyFilesOptions) {
    this.folder = options.folder
    this.#options = options
  }

  /**
   * Writes every key, each file atomically with mode 0600, and removes the files of removed and withdrawn keys.
   * @throws {HttpError} 409 `keys_not_exportable` if private keys cannot leave the system that keeps them.
   */
  save(store: KeyStore): Promise<void> {
    return this.#inTurn(async () => {
      await store.current()
      await this.#write(store, store.rings)
    })
  }

  /** Writes the keys of a ring that has changed, if its key ID was written before. Never rejects: the store has the keys. */
  async update(store: KeyStore, ring: KeyRing): Promise<void> {
    const first = join(this.folder, `${ring.keyId}-private.pem`)
    try {
      await this.#inTurn(async () => {
        const isSaved = await stat(first).then(
          () => true,
          () => false,
        )
        // A later change may have been stored while this one waited for its turn.
        if (isSaved) await this.#write(store, [(await store.get(ring.keyId)) ?? ring])
      })
    } catch (err) {
      this.#options.log.error(
        { err, keyId: ring.keyId },
        'the PEM files could not be updated; the store has the keys',
      )
    }
  }

  /** Waits for pending writes. */
  async stop(): Promise<void> {
    await this.#writing
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const written = this.#writing.then(write)
    this.#writing = written.catch(() => {})
    return written
  }

  async #write(store: KeyStore, rings: readonly KeyRing[]): Promise<void> {
    await ensurePrivateFolder(this.folder)
    const current = new Set<string>()
    for (const ring of rings)
      for (const [name, key] of filesOf(ring, this.#options.clock())) {
        current.add(`${name}-public.pem`)
        if (key.state !== 'retired') {
          current.add(`${name}-private.pem`)
          await writePrivateFile(
            join(this.folder, `${name}-private.pem`),
            exportPrivatePem(exportable(await store.open(key))),
          )
        }
        await writePrivateFile(join(this.folder, `${name}-public.pem`), exportPublicPem(key))
      }
    const ours = new Set(rings.map(({ keyId }) => keyId))
    for (const file of await readdir(this.folder)) {
      const { keyId, state } = FILE.exec(file)?.groups ?? {}
      if (keyId !== undefined && state && ours.has(keyId) && !current.has(file))
        await rm(join(this.folder, file), { force: true })
    }
  }

  /**
   * Imports the keys of key IDs that the store does not know. Other files are logged and ignored.
   * @throws {StateFileError} if a file of such a key ID does not contain a key, or other users can read its private key
   */
  async load(store: KeyStore): Promise<void> {
    const { log } = this.#options
    await ensurePrivateFolder(this.folder)
    for (const file of await removeLeftParts(this.folder))
      log.warn({ file }, 'the rest of an interrupted write; removed')
    const byKeyId = new Map<string, SavedFiles[]>()
    for (const saved of await this.#list())
      byKeyId.set(saved.keyId, [...(byKeyId.get(saved.keyId) ?? []), saved])
    for (const [keyId, files] of byKeyId) {
      const ring = await store.get(keyId)
      if (ring) await this.#compare(ring, files)
      else await this.#import(store, keyId, await Promise.all(files.map((saved) => this.#read(saved))))
    }
  }

  /** Logs files whose keys are not those of the store. */
  async #compare(ring: KeyRing, files: readonly SavedFiles[]): Promise<void> {
    const { clock, log } = this.#options
    for (const saved of files) {
      const file = saved.privateFile ?? saved.publicFile
      if (saved.state.is === 'retired' && saved.state.untilMs <= clock()) continue
      try {
        const known = ring.keyNamed((await this.#read(saved)).key.kid)
        if (known?.state === 'withdrawn') log.warn({ file }, 'this key was withdrawn; ignored')
        else if (!known) log.warn({ file }, 'the store has other keys for this key ID; ignored')
      } catch (err) {
        log.warn({ file, err }, 'not a key; the store has the keys of this key ID')
      }
    }
  }

  async #import(store: KeyStore, keyId: string, saved: readonly SavedKey[]): Promise<void> {
    const { clock, log, retiredForMs, signers } = this.#options
    const now = clock()
    const signing = saved.find(({ state }) => state.is === 'signing')?.key
    if (!signing || !('privateKey' in signing)) {
      log.warn({ keyId }, 'no signing key is saved for this key ID; its other keys are ignored')
      return
    }
    const retired = saved.flatMap(({ state, key }) =>
      state.is === 'retired' && state.untilMs > now && key.kid !== signing.kid
        ? [newKey(key, 'retired', now, { untilMs: state.untilMs })]
        : [],
    )
    const { importKey } = signers
    if (!importKey) {
      log.warn(
        { keyId },
        `${signers.kind} creates its own keys: the saved signing key only verifies, and a new one signs`,
      )
      await store.getOrCreate(keyId)
      await store.addRetired(keyId, [
        ...retired,
        newKey(signing, 'retired', now, { untilMs: now + retiredForMs }),
      ])
      return
    }
    const imported = async (key: SigningKey, state: 'signing' | 'published') =>
      newKey(key, state, now, { signer: signers.kind, reference: (await importKey(key)).reference })
    // After an interrupted dump, a key may be saved in two states; signing takes precedence.
    const next = saved.find(({ state, key }) => state.is === 'next' && key.kid !== signing.kid)?.key
    await store.add(
      new KeyRing(keyId, [
        await imported(signing, 'signing'),
        ...(next && 'privateKey' in next ? [await imported(next, 'published')] : []),
        ...unique(retired, next?.kid),
      ]),
    )
    log.info({ keyId }, 'imported from PEM files')
  }

  async #list(): Promise<SavedFiles[]> {
    const { log } = this.#options
    const entries = await readdir(this.folder, { withFileTypes: true }).catch((error: unknown) => {
      throw asStateFileError(this.folder, error)
    })
    const names = new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name))
    const saved: SavedFiles[] = []
    for (const { name } of entries) {
      const groups = FILE.exec(name)?.groups
      if (!names.has(name) || !groups) {
        log.warn({ file: name }, 'not a key file; ignored')
        continue
      }
      const isPrivate = groups.half === 'private'
      const other = name.replace(/-(private|public)\.pem$/, isPrivate ? '-public.pem' : '-private.pem')
      const state = stateOf(groups)
      const files = { keyId: groups.keyId as string, state }
      if (names.has(other)) {
        if (isPrivate) saved.push({ ...files, privateFile: name, publicFile: other })
      } else if (!isPrivate && state.is === 'retired')
        saved.push({ ...files, privateFile: undefined, publicFile: name })
      else log.warn({ file: name }, 'the other half of this key is missing; ignored')
    }
    return saved
  }

  /**
   * @throws {StateFileError} if the key is invalid, because a signing key must not be replaced silently, or if other users
   *   can read it, because they can sign with it
   */
  async #read(saved: SavedFiles): Promise<SavedKey> {
    const { log } = this.#options
    const { keyId, privateFile } = saved
    const publicPath = join(this.folder, saved.publicFile)
    const publicPem = await readPresent(publicPath)
    const publicKey = parseStateFile(
      publicPath,
      publicPem,
      'a public key as PEM',
      createPublicKey,
      'Delete both files of this key, or restore this one: openssl pkey -pubout derives it from the private key.',
    )
    if (privateFile === undefined) {
      const alg = this.#algorithmOf(publicKey)
      return { ...saved, key: named(keyId, importVerificationKey(publicPem, { alg })) }
    }
    const file = join(this.folder, privateFile)
    await assertPrivate(file)
    const key = parseStateFile(
      file,
      await readPresent(file),
      `a private key for ${ALGORITHMS.join(', ')} as PEM`,
      (text) => importSigningKey(text, { alg: this.#algorithmOf(createPrivateKey(text)) }),
      LOST_KEY,
    )
    if (!publicKey.equals(key.publicKey))
      log.warn({ file: saved.publicFile }, 'does not match its private key; the private key is used')
    return { ...saved, key: named(keyId, key) }
  }

  /** An algorithm belongs to a key: a file of another type than the configured one is for the algorithm of its type. */
  #algorithmOf(key: Parameters<typeof fits>[0]): Algorithm {
    const { algorithm } = this.#options
    const found = [algorithm, ...ALGORITHMS].find((alg) => fits(key, alg))
    if (!found) throw new KeyError('alg_mismatch', 'No algorithm uses this type of key.')
    return found
  }
}

function exportable(key: Awaited<ReturnType<KeyStore['open']>>): SigningKey {
  if ('privateKey' in key) return key
  throw new HttpError(
    409,
    'keys_not_exportable',
    'The private keys are in an HSM or a key management service, and cannot be written to files.',
  )
}

/** Lists the files in the order of writing. A rotation moves keys between files; if interrupted, it must not lose one. */
function* filesOf(ring: KeyRing, nowMs: number): Iterable<[name: string, key: RingKey]> {
  for (const key of ring.retired(nowMs))
    yield [`${ring.keyId}.retired-${Math.ceil((key.stored.untilMs ?? 0) / 1000)}-${key.kid.slice(-22)}`, key]
  yield [ring.keyId, ring.signing]
  if (ring.next) yield [`${ring.keyId}.next`, ring.next]
}

const unique = (keys: readonly RingKey[], except: string | undefined): RingKey[] => [
  ...new Map(keys.filter(({ kid }) => kid !== except).map((key) => [key.kid, key])).values(),
]

function stateOf({ state, until }: Record<string, string | undefined>): State {
  if (until !== undefined) return { is: 'retired', untilMs: Number(until) * 1000 }
  return { is: state === undefined ? 'signing' : 'next' }
}
