import { stat } from 'node:fs/promises'
import {
  readIfThere,
  readOrCreatePrivateFile,
  StateFileError,
  writePrivateFile,
} from '@hallpass/private-files'
import type { TrustDomain } from '@hallpass/spiffe'
import { type Document, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml'
import { DEFAULT_ENTRIES } from './default-entries.ts'
import { EntriesError, type Entry, type Federation, parseEntries, type Registrations } from './entries.ts'

/** Reports an entry ID that does not exist. */
export class NoSuchEntry extends Error {
  override readonly name = 'NoSuchEntry'
}

export class EntryExists extends Error {
  override readonly name = 'EntryExists'
}

/** The entries file, the only source of entries. It is edited by hand or by commands, which keep its comments. */
export class EntryStore {
  readonly file: string
  readonly #trustDomain: TrustDomain
  #text: string
  #registrations: Registrations
  #stamp = ''

  private constructor(file: string, trustDomain: TrustDomain, text: string) {
    this.file = file
    this.#trustDomain = trustDomain
    this.#text = text
    this.#registrations = parseEntries(text, trustDomain)
  }

  /**
   * Opens the file; if it does not exist, writes the default entries first.
   * @throws {StateFileError} with all mistakes of the file.
   */
  static async open(file: string, trustDomain: TrustDomain): Promise<EntryStore> {
    // A user's file contains no secret and may be readable by all, e.g. from a ConfigMap.
    const text =
      (await readIfThere(file)) ??
      (await readOrCreatePrivateFile(file, () =>
        DEFAULT_ENTRIES.replaceAll('spiffe://example.org', trustDomain.id),
      ))
    const store = EntryStore.#read(file, trustDomain, text)
    store.#stamp = await stampOf(file)
    return store
  }

  static #read(file: string, trustDomain: TrustDomain, text: string): EntryStore {
    try {
      return new EntryStore(file, trustDomain, text)
    } catch (error) {
      if (!(error instanceof EntriesError)) throw error
      const problems = error.problems.map((problem) => problem.split('\n', 1)[0]).join('; ')
      throw new StateFileError(
        file,
        `not usable: ${problems}`,
        'Correct it, or delete it to get the default entries.',
      )
    }
  }

  get entries(): readonly Entry[] {
    return this.#registrations.entries
  }

  get federation(): readonly Federation[] {
    return this.#registrations.federation
  }

  /**
   * Reloads the file if it was edited; returns true if its contents have changed.
   * @throws {EntriesError} once per invalid edit; the last valid entries stay active.
   */
  async refresh(): Promise<boolean> {
    const stamp = await stampOf(this.file)
    if (stamp === this.#stamp) return false
    this.#stamp = stamp
    const text = await readIfThere(this.file)
    if (text === undefined) throw new EntriesError([`${this.file} no longer exists`])
    if (text === this.#text) return false
    this.#registrations = parseEntries(text, this.#trustDomain)
    this.#text = text
    return true
  }

  /** @throws {EntriesError} if the entry is not valid, {@link EntryExists} if its ID is in use. */
  async add(entry: Readonly<Record<string, unknown>>): Promise<void> {
    if (this.entries.some(({ id }) => id === entry.id))
      throw new EntryExists(`Entry ${entry.id} already exists.`)
    await this.#edit((document) => {
      if (!document.has('entries')) document.set('entries', document.createNode([]))
      const list = document.get('entries') as YAMLSeq
      list.flow = false
      const node = document.createNode(entry) as YAMLMap
      list.add(node)
    })
  }

  /** @throws {NoSuchEntry} */
  async remove(id: string): Promise<void> {
    await this.#edit((document) => document.deleteIn(['entries', this.#indexOf(id)]))
  }

  /** Revokes or restores an entry. A revoked entry stays in the file, but grants no identity. @throws {NoSuchEntry} */
  async setRevoked(id: string, revoked: boolean): Promise<void> {
    await this.#edit((document) => {
      const path = ['entries', this.#indexOf(id), 'revoked']
      if (revoked) document.setIn(path, true)
      else document.deleteIn(path)
    })
  }

  #indexOf(id: string): number {
    const index = this.entries.findIndex((entry) => entry.id === id)
    if (index === -1) throw new NoSuchEntry(`Entry ${id} not found.`)
    return index
  }

  async #edit(change: (document: Document) => void) {
    await this.refresh()
    const document = parseDocument(this.#text)
    change(document)
    const text = document.toString({ lineWidth: 0, flowCollectionPadding: false })
    const registrations = parseEntries(text, this.#trustDomain)
    await writePrivateFile(this.file, text)
    this.#registrations = registrations
    this.#text = text
    this.#stamp = await stampOf(this.file)
  }
}

/** Returns a stamp that changes with every edit, even if an editor replaces the file. */
async function stampOf(file: string): Promise<string> {
  try {
    const { ino, mtimeMs, size } = await stat(file)
    return `${ino} ${mtimeMs} ${size}`
  } catch {
    return 'gone'
  }
}
