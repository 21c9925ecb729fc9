import { randomBytes } from 'node:crypto'
import { covers, type Grant, type Revocation } from '../admission/index.ts'
import type { EndReason, StreamSession } from './stream-session.ts'

/** 128 bits: nobody finds a stream by trying. */
const HANDLE_BYTES = 16

/** A stream that has ended, as an operator sees it. */
export interface EndedStream {
  readonly session: StreamSession
  readonly reason: EndReason
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** What an operator who looks now wants to have seen; older ends are in the log. */
const MAX_ENDED = 20

/** Every open stream of this gateway, findable the ways that requests name them. */
export class StreamRegistry {
  readonly #prefix: string
  readonly #byHandle = new Map<string, StreamSession>()
  readonly #byConnection = new Map<object, Set<StreamSession>>()
  readonly #countByOwner = new Map<string, number>()
  readonly #ended: EndedStream[] = []

  get size(): number {
    return this.#byHandle.size
  }

  /** @param node the name of this gateway among others, so that they know whom to ask. */
  constructor(node?: string) {
    this.#prefix = node === undefined ? '' : `${node}.`
  }

  newHandle(): string {
    return this.#prefix + randomBytes(HANDLE_BYTES).toString('base64url')
  }

  /** How many streams are open, or about to be, for whom a grant speaks. */
  countOf(grant: Grant): number {
    return this.#countByOwner.get(ownerOf(grant)) ?? 0
  }

  /** Counts a stream before it is open, so that many that come at once cannot pass together; call the result once. */
  claim(grant: Grant): () => void {
    const owner = ownerOf(grant)
    this.#countByOwner.set(owner, this.countOf(grant) + 1)
    return () => {
      const left = (this.#countByOwner.get(owner) ?? 0) - 1
      if (left > 0) this.#countByOwner.set(owner, left)
      else this.#countByOwner.delete(owner)
    }
  }

  add(session: StreamSession): void {
    this.#byHandle.set(session.handle, session)
    const siblings = this.#byConnection.get(session.connection)
    if (siblings) siblings.add(session)
    else this.#byConnection.set(session.connection, new Set([session]))
  }

  remove(session: StreamSession): void {
    this.#byHandle.delete(session.handle)
    const siblings = this.#byConnection.get(session.connection)
    siblings?.delete(session)
    if (siblings?.size === 0) this.#byConnection.delete(session.connection)
  }

  /** The last streams that have ended, the newest first. */
  get ended(): readonly EndedStream[] {
    return this.#ended
  }

  /** Takes a stream out, and keeps in mind for a while why it ended. */
  retire(session: StreamSession, reason: EndReason, at: number): void {
    this.remove(session)
    this.#ended.unshift({ session, reason, at })
    this.#ended.length = Math.min(this.#ended.length, MAX_ENDED)
  }

  /** Extends the stream with a handle, if it is on the path and belongs to the grant's subject; returns whether it is. */
  extendNamed(handle: string, path: string, grant: Grant): boolean {
    const session = this.#byHandle.get(handle)
    return extendAll(session ? [session] : [], path, grant)
  }

  /** Extends the streams of the grant's subject that are on a connection and on the path; returns whether there was one. */
  extendOnConnection(connection: object, path: string, grant: Grant): boolean {
    return extendAll([...(this.#byConnection.get(connection) ?? [])], path, grant)
  }

  all(): Iterable<StreamSession> {
    return this.#byHandle.values()
  }

  /** Ends every stream whose present token is revoked. */
  endRevoked(revocation: Revocation): void {
    for (const session of [...this.#byHandle.values()])
      if (covers(revocation, session.grant)) session.end('token_revoked')
  }

  endAll(reason: EndReason): void {
    for (const session of [...this.#byHandle.values()]) session.end(reason)
  }
}

function extendAll(candidates: readonly StreamSession[], path: string, grant: Grant): boolean {
  const streams = candidates.filter((session) => session.path === path && session.belongsTo(grant))
  for (const session of streams) session.reauthorize(grant)
  return streams.length > 0
}

/** For whom the streams are counted: the subject, or for a token that names none the token itself. */
const ownerOf = ({ issuer, subject, tokenId }: Grant) => `${issuer}\n${subject ?? `token ${tokenId}`}`
