import { randomBytes } from 'node:crypto'
import { Tally } from '@hallpass/service-kit'
import { type Extension, joinExtensions } from './extension.ts'
import { ownerOf, type StreamGrant } from './stream-grant.ts'
import type { EndReason, StreamSession } from './stream-session.ts'

/** 128 bits: a handle cannot be guessed. */
const HANDLE_BYTES = 16

/** A closed stream, for operators. */
export interface EndedStream<Grant extends StreamGrant = StreamGrant> {
  readonly session: StreamSession<Grant>
  readonly reason: EndReason
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** Enough for an operator to see recent events; older ones are in the log. */
const MAX_ENDED = 20

export interface StreamRegistryOptions<Grant extends StreamGrant> {
  /** The name of this process, so that others know which one has a stream; a part of every handle. */
  readonly node?: string | undefined
  /** Returns the names under which {@link StreamRegistry.named} finds the streams of a grant; by default none. */
  readonly namesOf?: (grant: Grant) => readonly string[]
}

/** The open streams of this process, by handle, by connection and by the names of their grants. */
export class StreamRegistry<Grant extends StreamGrant = StreamGrant> {
  readonly #prefix: string
  readonly #byHandle = new Map<string, StreamSession<Grant>>()
  readonly #byConnection = new Map<object, Set<StreamSession<Grant>>>()
  /** By the names of the current grant, so that a revocation reads only the streams that it may close. */
  readonly #byName = new Map<string, Set<StreamSession<Grant>>>()
  readonly #namesOf: (grant: Grant) => readonly string[]
  readonly #claimed = new Tally<string>()
  readonly #ended: EndedStream<Grant>[] = []

  /** Returns the number of open streams. */
  get size(): number {
    return this.#byHandle.size
  }

  /** Returns the number of streams that are open or about to be opened. */
  get claimed(): number {
    return this.#claimed.total
  }

  constructor({ node, namesOf = () => [] }: StreamRegistryOptions<Grant> = {}) {
    this.#prefix = node === undefined ? '' : `${node}.`
    this.#namesOf = namesOf
  }

  newHandle(): string {
    return this.#prefix + randomBytes(HANDLE_BYTES).toString('base64url')
  }

  /** Returns the number of streams of a grant's subject that are open or about to be opened. */
  countOf(grant: Grant): number {
    return this.#claimed.of(ownerOf(grant))
  }

  /**
   * Counts a stream before it is open, so that concurrent requests cannot exceed the limit. Returns a function that releases
   * the count; call it once.
   */
  claim(grant: Grant): () => void {
    const owner = ownerOf(grant)
    this.#claimed.add(owner)
    return () => this.#claimed.remove(owner)
  }

  add(session: StreamSession<Grant>): void {
    this.#byHandle.set(session.handle, session)
    addTo(this.#byConnection, session.connection, session)
    for (const name of this.#namesOf(session.grant)) addTo(this.#byName, name, session)
  }

  remove(session: StreamSession<Grant>): void {
    this.#byHandle.delete(session.handle)
    removeFrom(this.#byConnection, session.connection, session)
    for (const name of this.#namesOf(session.grant)) removeFrom(this.#byName, name, session)
  }

  /** Returns the recently closed streams, newest first. */
  get ended(): readonly EndedStream<Grant>[] {
    return this.#ended
  }

  /** Removes a stream, and adds it to the recently closed ones. */
  retire(session: StreamSession<Grant>, reason: EndReason, at: number): void {
    this.remove(session)
    this.#ended.unshift({ session, reason, at })
    this.#ended.length = Math.min(this.#ended.length, MAX_ENDED)
  }

  /** Extends the stream with a handle, if it is on the path and belongs to the grant's subject. */
  extendNamed(handle: string, path: string, grant: Grant): Extension {
    const session = this.#byHandle.get(handle)
    return this.#extendAll(session ? [session] : [], path, grant)
  }

  /** Extends the streams of the grant's subject on a connection and path. */
  extendOnConnection(connection: object, path: string, grant: Grant): Extension {
    return this.#extendAll([...(this.#byConnection.get(connection) ?? [])], path, grant)
  }

  all(): Iterable<StreamSession<Grant>> {
    return this.#byHandle.values()
  }

  /** Returns the streams whose current grant has a name. */
  named(name: string): Iterable<StreamSession<Grant>> {
    return this.#byName.get(name) ?? []
  }

  /** Closes every stream, in slices. */
  endAll(reason: EndReason): void {
    for (const session of this.#byHandle.values()) session.endSoon(reason)
  }

  #extendAll(candidates: readonly StreamSession<Grant>[], path: string, grant: Grant): Extension {
    const streams = candidates.filter(
      (session) => session.isOpen && session.path === path && session.belongsTo(grant),
    )
    return joinExtensions(streams.map((session) => this.#extend(session, grant)))
  }

  #extend(session: StreamSession<Grant>, grant: Grant): Extension {
    for (const name of this.#namesOf(session.grant)) removeFrom(this.#byName, name, session)
    const result = session.reauthorize(grant)
    for (const name of this.#namesOf(session.grant)) addTo(this.#byName, name, session)
    return result
  }
}

function addTo<K, V>(sets: Map<K, Set<V>>, key: K, value: V) {
  const set = sets.get(key)
  if (set) set.add(value)
  else sets.set(key, new Set([value]))
}

function removeFrom<K, V>(sets: Map<K, Set<V>>, key: K, value: V) {
  const set = sets.get(key)
  set?.delete(value)
  if (set?.size === 0) sets.delete(key)
}
