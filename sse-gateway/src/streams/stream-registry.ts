import { randomBytes } from 'node:crypto'
import { Tally } from '@hallpass/service-kit'
import { covers, type Grant, ownerOf, type Revocation, type RevocationKind } from '../admission/index.ts'
import { type Extension, joinExtensions } from './extension.ts'
import type { EndReason, StreamSession } from './stream-session.ts'

/** 128 bits: a handle cannot be guessed. */
const HANDLE_BYTES = 16

/** A closed stream, for operators. */
export interface EndedStream {
  readonly session: StreamSession
  readonly reason: EndReason
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** Enough for an operator to see recent events; older ones are in the log. */
const MAX_ENDED = 20

/** The open streams of this gateway, by handle and by connection. */
export class StreamRegistry {
  readonly #prefix: string
  readonly #byHandle = new Map<string, StreamSession>()
  readonly #byConnection = new Map<object, Set<StreamSession>>()
  /** By the token, subject and session of the current grant, so that a revocation reads only the streams that it may close. */
  readonly #byRevocable = new Map<string, Set<StreamSession>>()
  readonly #claimed = new Tally<string>()
  readonly #ended: EndedStream[] = []

  /** Returns the number of open streams. */
  get size(): number {
    return this.#byHandle.size
  }

  /** Returns the number of streams that are open or about to be opened. */
  get claimed(): number {
    return this.#claimed.total
  }

  /** @param node the name of this gateway, so that other gateways know which one has a stream. */
  constructor(node?: string) {
    this.#prefix = node === undefined ? '' : `${node}.`
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

  add(session: StreamSession): void {
    this.#byHandle.set(session.handle, session)
    addTo(this.#byConnection, session.connection, session)
    for (const key of revocableKeys(session.grant)) addTo(this.#byRevocable, key, session)
  }

  remove(session: StreamSession): void {
    this.#byHandle.delete(session.handle)
    removeFrom(this.#byConnection, session.connection, session)
    for (const key of revocableKeys(session.grant)) removeFrom(this.#byRevocable, key, session)
  }

  /** Returns the recently closed streams, newest first. */
  get ended(): readonly EndedStream[] {
    return this.#ended
  }

  /** Removes a stream, and adds it to the recently closed ones. */
  retire(session: StreamSession, reason: EndReason, at: number): void {
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

  all(): Iterable<StreamSession> {
    return this.#byHandle.values()
  }

  /** Closes every stream whose current token is revoked, in slices. */
  endRevoked(revocation: Revocation): void {
    for (const session of this.#byRevocable.get(revocableKey(revocation.kind, revocation.value)) ?? [])
      if (covers(revocation, session.grant)) session.endSoon('token_revoked')
  }

  /** Closes every stream, in slices. */
  endAll(reason: EndReason): void {
    for (const session of this.#byHandle.values()) session.endSoon(reason)
  }

  #extendAll(candidates: readonly StreamSession[], path: string, grant: Grant): Extension {
    const streams = candidates.filter(
      (session) => session.isOpen && session.path === path && session.belongsTo(grant),
    )
    return joinExtensions(streams.map((session) => this.#extend(session, grant)))
  }

  #extend(session: StreamSession, grant: Grant): Extension {
    for (const key of revocableKeys(session.grant)) removeFrom(this.#byRevocable, key, session)
    const result = session.reauthorize(grant)
    for (const key of revocableKeys(session.grant)) addTo(this.#byRevocable, key, session)
    return result
  }
}

const revocableKey = (kind: RevocationKind, value: string) => `${kind}\n${value}`

/** Returns the keys of the revocations that may cover a grant. */
function revocableKeys({ jti, subject, session }: Grant): string[] {
  const keys: string[] = []
  if (jti !== undefined) keys.push(revocableKey('jti', jti))
  if (subject !== undefined) keys.push(revocableKey('sub', subject))
  if (session !== undefined) keys.push(revocableKey('session', session))
  return keys
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
