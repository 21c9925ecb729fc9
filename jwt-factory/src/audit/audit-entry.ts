import { cutTokens } from '@hallpass/service-kit'

/**
 * What happened. `key-created`, `published`, `rotated`, `withdrawn` and `dumped` are acts of an administrator or the schedule
 * on keys; the others concern single tokens.
 */
export type AuditAction = keyof typeof TRAIL_OF

/**
 * Two trails, so that a caller with many tokens cannot push the history of the keys out of the log. A month, and as much as
 * fits into 100 MB, is enough to look into an incident; auditors ask for a year of the keys, and a month more to do so.
 */
export const TRAILS = {
  keys: { maxAgeMs: 400 * 86_400_000, maxEntries: 500_000 },
  tokens: { maxAgeMs: 30 * 86_400_000, maxEntries: 500_000 },
} as const

export type TrailName = keyof typeof TRAILS

export const TRAIL_OF = {
  'key-created': 'keys',
  published: 'keys',
  rotated: 'keys',
  withdrawn: 'keys',
  dumped: 'keys',
  issued: 'tokens',
  revoked: 'tokens',
  refused: 'tokens',
} as const satisfies Readonly<Record<string, TrailName>>

export const isAuditAction = (name: unknown): name is AuditAction =>
  typeof name === 'string' && Object.hasOwn(TRAIL_OF, name)

/** Something to record: never a token, and no claims other than these. */
export interface AuditEvent {
  readonly action: AuditAction
  /** The caller's subject; `open` if callers are not authenticated, `schedule` for a scheduled rotation. */
  readonly actor: string
  readonly keyId?: string | undefined
  readonly kid?: string | undefined
  readonly jti?: string | undefined
  readonly subject?: string | undefined
  readonly audience?: string | undefined
  /** The network address from which the request came. */
  readonly client?: string | undefined
  readonly requestId?: string | undefined
  /** Why it was refused: the code of the response. */
  readonly reason?: string | undefined
}

/** A recorded event, as stored. */
export interface StoredEvent extends AuditEvent {
  /** RFC 3339, UTC. */
  readonly at: string
}

/** An entry of the log. */
export interface AuditEntry extends StoredEvent {
  readonly trail: TrailName
  /** Increases within a trail; numbers may be left out. */
  readonly seq: number
  /** SHA-256 of the previous entry's hash and this entry, base64url: a changed or removed entry breaks the chain. */
  readonly hash: string
}

/** Longer values are truncated: an audience or a subject in development mode is any string of the caller. */
const MAX_VALUE = 256

/** The members of an entry, in the order in which they are hashed. */
const MEMBERS = [
  'actor',
  'keyId',
  'kid',
  'jti',
  'subject',
  'audience',
  'client',
  'requestId',
  'reason',
] as const

/** Returns what is stored of an event. Anything that looks like a token is removed, as in log lines. */
export function storedEvent(event: AuditEvent, now: number): StoredEvent {
  const stored: Record<string, string> = { at: new Date(now).toISOString(), action: event.action }
  for (const member of MEMBERS) {
    const value = event[member]
    if (typeof value === 'string') stored[member] = cutTokens(value).slice(0, MAX_VALUE)
  }
  return stored as unknown as StoredEvent
}
