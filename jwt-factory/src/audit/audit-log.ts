import type { Clock, Logger } from '@hallpass/service-kit'
import type { Zone } from '@hallpass/token-store'
import { callAfter, pause } from '@hallpass/untrusted/timers'
import { chunks } from './audit-block.ts'
import {
  type AuditAction,
  type AuditEntry,
  type AuditEvent,
  type StoredEvent,
  storedEvent,
  TRAIL_OF,
  TRAILS,
  type TrailName,
} from './audit-entry.ts'
import { AuditTrail } from './audit-trail.ts'

export interface AuditLogOptions {
  /** The zone `audit`; pinned, because its entries must not be evicted. */
  readonly zone: Zone
  readonly clock: Clock
  readonly log: Logger
  /** Called for each recorded event. */
  readonly onRecorded?: (action: AuditAction) => void
  /** Called when a write to the store fails, and will be retried. */
  readonly onFailure?: () => void
  /** Called with the number of entries that are only in the service's log, because the queue was full. */
  readonly onLost?: (entries: number) => void
}

/** Which entries to return. */
export interface AuditQuery {
  readonly after: AuditPosition
  readonly limit: number
  readonly action?: AuditAction | undefined
  readonly keyId?: string | undefined
}

/** A place in the log: the last sequence number that was read of each trail. */
export type AuditPosition = Readonly<Record<TrailName, number>>

export interface AuditPage {
  readonly entries: readonly AuditEntry[]
  /** Where the next page begins. */
  readonly next: AuditPosition
  /** Whether the end has not been reached. */
  readonly hasMore: boolean
  /** The sequence numbers at which the chain of a trail is broken: an entry there was changed, or removed. */
  readonly brokenAt: readonly { readonly trail: TrailName; readonly seq: number }[]
}

/** Issued tokens are written once per second: so many a second may be missing in the store after a kill -9. */
const BATCH_MS = 1_000
/** Five seconds of 2,000 tokens per second, some 3 MB. */
const MAX_QUEUED = 10_000
/** How long the answer to a rotation waits for a store that has just stored the rotation itself. */
const MAX_WAIT_MS = 2_000
/** A full disk, or a failover of Redis, takes seconds to minutes. */
const RETRY_MS = 1_000
const CLEAN_MS = 600_000
/** Longer than a run of the cleaner takes. */
const CLEAN_LEASE_MS = 60_000
/** What one request reads, if few entries match: about 10 MB, and a tenth of a second. */
const MAX_READ = 20_000

/** These are written before the answer; the others with the next batch. */
const isUrgent = (action: AuditAction) => action !== 'issued' && action !== 'refused'

/**
 * Records who did what: in the service's log at once, and in the store, in order and chained by hashes. It is append-only: the
 * only entries that are ever removed are those that are older, or more, than {@link TRAILS} says.
 */
export class AuditLog {
  readonly #options: AuditLogOptions
  readonly #queues: Readonly<Record<TrailName, Queue>>
  readonly #trails: Readonly<Record<TrailName, AuditTrail>>
  #cancelClean: (() => void) | undefined

  constructor(options: AuditLogOptions) {
    const { zone, clock } = options
    this.#options = options
    this.#trails = {
      keys: new AuditTrail('keys', zone, clock),
      tokens: new AuditTrail('tokens', zone, clock),
    }
    this.#queues = {
      keys: new Queue('keys', this.#trails.keys, options),
      tokens: new Queue('tokens', this.#trails.tokens, options),
    }
  }

  /** Begins to remove old entries. */
  start(): void {
    this.#cancelClean = callAfter(CLEAN_MS, () => {
      this.clean()
        .catch((err) =>
          this.#options.log.warn({ err }, 'old audit entries could not be removed; it is retried'),
        )
        .finally(() => this.#cancelClean && this.start())
    })
  }

  /** Writes what is queued. */
  async stop(): Promise<void> {
    this.#cancelClean?.()
    this.#cancelClean = undefined
    await Promise.all([this.#queues.keys.stop(), this.#queues.tokens.stop()])
  }

  /** How many entries are not yet in the store. */
  get queued(): number {
    return this.#queues.keys.length + this.#queues.tokens.length
  }

  /**
   * Records an event. Resolves immediately for `issued` and `refused`, which are stored within a second; for the others when
   * they are stored. If the store fails, it resolves after two seconds, because the event has happened and the answer must
   * say so; the entry is in the service's log, and stored as soon as possible. Never rejects.
   */
  record(event: AuditEvent): Promise<void> {
    const { clock, log, onRecorded } = this.#options
    const stored = storedEvent(event, clock())
    log.info({ audit: true, ...stored }, 'audit')
    onRecorded?.(event.action)
    return this.#queues[TRAIL_OF[event.action]].add(stored, isUrgent(event.action))
  }

  /**
   * Returns entries in order of time, those of one trail in order of their sequence numbers; also those that this process has
   * just recorded.
   * @throws {StoreUnavailableError}
   */
  async read({ after, limit, action, keyId }: AuditQuery): Promise<AuditPage> {
    await Promise.all([this.#queues.keys.flush(), this.#queues.tokens.flush()])
    const wanted = (entry: AuditEntry) =>
      (action === undefined || entry.action === action) && (keyId === undefined || entry.keyId === keyId)
    const names = (Object.keys(TRAILS) as TrailName[]).filter(
      (name) => action === undefined || TRAIL_OF[action] === name,
    )
    const next: Record<TrailName, number> = { ...after }
    const brokenAt: { trail: TrailName; seq: number }[] = []
    const entries: AuditEntry[] = []
    const sources = names.map((name) => new Source(name, this.#trails[name], after[name], brokenAt))
    for (let read = 0; ; read += 1) {
      const heads = await Promise.all(sources.map((source) => source.peek()))
      const first = heads
        .filter((entry) => entry !== undefined)
        .reduce<AuditEntry | undefined>(
          (least, one) => (least && least.at <= one.at ? least : one),
          undefined,
        )
      if (!first || entries.length >= limit || read >= MAX_READ) {
        await Promise.all(sources.map((source) => source.end()))
        return { entries, next, hasMore: first !== undefined, brokenAt }
      }
      sources.find(({ name }) => name === first.trail)?.take()
      next[first.trail] = first.seq
      if (wanted(first)) entries.push(first)
    }
  }

  /** Removes entries that are too old, or too many, unless another replica is doing so. */
  async clean(): Promise<void> {
    const lease = await this.#options.zone.lease('clean', CLEAN_LEASE_MS)
    if (!lease) return
    try {
      const until = performance.now() + CLEAN_LEASE_MS / 2
      for (const trail of Object.values(this.#trails))
        while (performance.now() < until && (await trail.clean())) await pause(0)
    } finally {
      await lease.release()
    }
  }
}

/** The entries of one trail, one at a time. */
class Source {
  readonly name: TrailName
  readonly #steps
  readonly #brokenAt: { trail: TrailName; seq: number }[]
  #entry: AuditEntry | undefined
  #isAtEnd = false

  constructor(
    name: TrailName,
    trail: AuditTrail,
    after: number,
    brokenAt: { trail: TrailName; seq: number }[],
  ) {
    this.name = name
    this.#steps = trail.read(after)[Symbol.asyncIterator]()
    this.#brokenAt = brokenAt
  }

  async peek(): Promise<AuditEntry | undefined> {
    while (!this.#entry && !this.#isAtEnd) {
      const { done, value } = await this.#steps.next()
      if (done) this.#isAtEnd = true
      else if ('brokenAt' in value) this.#brokenAt.push({ trail: this.name, seq: value.brokenAt })
      else this.#entry = value.entry
    }
    return this.#entry
  }

  take(): void {
    this.#entry = undefined
  }

  async end(): Promise<void> {
    await this.#steps.return?.()
  }
}

/** The entries of one trail that are not yet stored. */
class Queue {
  readonly #name: TrailName
  readonly #trail: AuditTrail
  readonly #options: AuditLogOptions
  #events: StoredEvent[] = []
  #waiting: (() => void)[] = []
  #writing: Promise<void> | undefined
  #cancel: (() => void) | undefined
  /** The chunk that is being written; kept for a retry with the same ID. */
  #chunk: { readonly id: string; readonly events: readonly StoredEvent[] } | undefined
  #isLosing = false
  #stopped = false

  constructor(name: TrailName, trail: AuditTrail, options: AuditLogOptions) {
    this.#name = name
    this.#trail = trail
    this.#options = options
  }

  get length(): number {
    return this.#events.length + (this.#chunk?.events.length ?? 0)
  }

  add(event: StoredEvent, urgent: boolean): Promise<void> {
    const { log, onLost } = this.#options
    if (this.#events.length >= MAX_QUEUED) {
      onLost?.(1)
      if (!this.#isLosing)
        log.error(
          { trail: this.#name },
          'the audit queue is full: entries are only in this log until the store answers',
        )
      this.#isLosing = true
      return DONE
    }
    this.#isLosing = false
    this.#events.push(event)
    if (!urgent) {
      this.#flushAfter(BATCH_MS)
      return DONE
    }
    return this.#stored()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const done = new AbortController()
    await Promise.race([this.flush(), pause(MAX_WAIT_MS, done.signal)])
    done.abort()
    this.#cancel?.()
    if (this.length > 0)
      this.#options.log.error(
        { trail: this.#name, entries: this.length },
        'audit entries are only in this log',
      )
  }

  /** Resolves when everything that is queued now is stored, or after the maximum wait. */
  #stored(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = callAfter(MAX_WAIT_MS, resolve, { keepAlive: true })
      this.#waiting.push(() => {
        cancel()
        resolve()
      })
      void this.flush()
    })
  }

  #flushAfter(milliseconds: number): void {
    this.#cancel ??= callAfter(milliseconds, () => {
      this.#cancel = undefined
      void this.flush()
    })
  }

  /** Writes everything that is queued, also what is added meanwhile. */
  flush(): Promise<void> {
    if (this.length === 0) return DONE
    this.#writing ??= this.#write()
    return this.#writing
  }

  async #write(): Promise<void> {
    const { log, onFailure } = this.#options
    try {
      while (this.length > 0) {
        const waiting = this.#waiting
        this.#waiting = []
        const events = this.#events
        this.#events = []
        const parts = [...(this.#chunk ? [this.#chunk.events] : []), ...chunks(events)]
        for (const [index, part] of parts.entries()) {
          this.#chunk = this.#chunk?.events === part ? this.#chunk : { id: AuditTrail.newId(), events: part }
          try {
            const { seq, hash } = await this.#trail.append(this.#chunk.id, part)
            // A copy of the hash outside the store: someone who changes the store cannot change this.
            log.info({ audit: true, trail: this.#name, seq, hash }, 'audit chain')
          } catch (error) {
            this.#events = [...parts.slice(index + 1).flat(), ...this.#events]
            this.#waiting = [...waiting, ...this.#waiting]
            throw error
          }
          this.#chunk = undefined
        }
        for (const resolve of waiting) resolve()
      }
    } catch (err) {
      onFailure?.()
      log.error(
        { err, trail: this.#name, entries: this.length },
        'audit entries could not be stored; it is retried',
      )
      if (!this.#stopped) this.#flushAfter(RETRY_MS)
    } finally {
      // In the same turn as the last look at the queue: an entry that is added after it begins another write.
      this.#writing = undefined
    }
  }
}

const DONE = Promise.resolve()
