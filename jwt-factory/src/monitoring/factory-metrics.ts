import { boundedLabel, type Clock, type Counter, HttpError, type Metrics } from '@hallpass/service-kit'
import type { SharedStore, Zone } from '@hallpass/token-store'
import { SigningError } from '@hallpass/tokens'
import { pause } from '@hallpass/untrusted/timers'
import type { AuditAction, AuditLog } from '../audit/index.ts'
import type { KeyRotation, RotationOutcome } from '../rotation/index.ts'

/** What the metrics are read from, on each scrape. */
export interface Measured {
  readonly clock: Clock
  readonly store: Pick<SharedStore, 'check' | 'isFull'>
  /** The zone of the keys, whose changes this process follows. */
  readonly keysZone: Pick<Zone, 'isWatching'>
  /** Since when each signing key signs, in milliseconds since the epoch. */
  readonly signingSinceMs: () => Iterable<number>
  /** How many revoked tokens have not expired. */
  readonly revocations: () => number | Promise<number>
  readonly audit: AuditLog
  readonly rotation: KeyRotation
}

/** Prometheus waits 10 s for a scrape by default, and a store that takes this long is not available to requests either. */
const STORE_TIMEOUT_MS = 2_000
/** The readings of one scrape share one check. */
const STORE_CHECK_MS = 500

/** The factory's own metrics: counters that its parts increment, and readings. */
export class FactoryMetrics {
  readonly #issued: Counter<'key_id'>
  readonly #keyId = boundedLabel()
  readonly #failed: Counter
  readonly #rotations: Counter<'outcome'>
  readonly #audited: Counter<'action'>
  readonly #auditFailures: Counter
  readonly #auditLost: Counter
  readonly #metrics: Metrics

  constructor(metrics: Metrics) {
    this.#metrics = metrics
    this.#issued = metrics.counter(
      'tokens_issued_total',
      'Tokens signed, by key ID; key IDs after the first hundred are counted as other.',
      ['key_id'],
    )
    this.#failed = metrics.counter('signatures_failed_total', 'Tokens that could not be signed.')
    this.#rotations = metrics.counter(
      'scheduled_rotations_total',
      'Steps of scheduled rotations, by outcome.',
      ['outcome'],
    )
    this.#audited = metrics.counter('audit_events_total', 'Audited events, by action.', ['action'])
    this.#auditFailures = metrics.counter(
      'audit_write_failures_total',
      'Writes of audit entries that failed and are retried.',
    )
    this.#auditLost = metrics.counter(
      'audit_entries_lost_total',
      'Audit entries that are only in the log of the service, because the store did not answer for too long.',
    )
    for (const outcome of ['published', 'rotated', 'failed']) this.#rotations.inc({ outcome }, 0)
  }

  issued = (keyId: string): void => this.#issued.inc({ key_id: this.#keyId(keyId) })
  /** Counts an error of signing, unless the request was wrong. */
  signatureFailed = (error: unknown): void => {
    const isFault = error instanceof SigningError || (error instanceof HttpError && error.status < 500)
    if (!isFault) this.#failed.inc()
  }
  rotationStep = (outcome: RotationOutcome): void => this.#rotations.inc({ outcome })
  audited = (action: AuditAction): void => this.#audited.inc({ action })
  auditWriteFailed = (): void => this.#auditFailures.inc()
  auditLost = (entries: number): void => this.#auditLost.inc(entries)

  /** Registers what is read on each scrape. */
  read(measured: Measured): void {
    const { clock, store, keysZone, audit, rotation } = measured
    const probe = storeProbe(store)
    const readings: Readonly<Record<string, readonly [help: string, read: () => number | Promise<number>]>> =
      {
        signing_keys: ['Key IDs with a signing key.', () => [...measured.signingSinceMs()].length],
        signing_key_age_seconds: [
          'Age of the oldest signing key, since it began to sign.',
          () => {
            let oldest = clock()
            for (const sinceMs of measured.signingSinceMs()) oldest = Math.min(oldest, sinceMs)
            return (clock() - oldest) / 1000
          },
        ],
        rotation_period_seconds: [
          'ROTATE_EVERY; 0 if keys are rotated only by hand.',
          () => (rotation.everyMs ?? 0) / 1000,
        ],
        rotation_overdue_keys: ['Key IDs whose rotation is overdue.', () => rotation.figures.overdue],
        rotation_overdue_seconds: [
          'How long the most overdue rotation has been due.',
          () => rotation.figures.overdueMs / 1000,
        ],
        revocations_active: ['Revoked tokens that have not expired.', measured.revocations],
        store_available: [
          '1 if the store answers and has room.',
          async () => Number((await probe()).isAvailable),
        ],
        store_check_duration_seconds: [
          'How long the store took to answer this scrape.',
          async () => (await probe()).seconds,
        ],
        store_changes_current: [
          '1 if this process knows every change of the keys that is older than half a second.',
          () => Number(keysZone.isWatching()),
        ],
        store_full: ['1 while the store rejects new entries.', () => Number(store.isFull)],
        audit_queue_entries: ['Audit entries that are not yet in the store.', () => audit.queued],
        clock_jumped_seconds: [
          'By how much the clock of this machine has been set since the start, forward and back added up.',
          () => {
            rotation.clockWatch.look()
            return rotation.clockWatch.jumpedMs / 1000
          },
        ],
      }
    for (const [name, [help, read]] of Object.entries(readings)) this.#metrics.reading(name, help, read)
  }
}

interface StoreAnswer {
  readonly isAvailable: boolean
  readonly seconds: number
}

function storeProbe(store: Measured['store']): () => Promise<StoreAnswer> {
  let last: { readonly at: number; readonly answer: Promise<StoreAnswer> } | undefined
  return () => {
    if (!last || performance.now() - last.at > STORE_CHECK_MS)
      last = { at: performance.now(), answer: checkStore(store) }
    return last.answer
  }
}

async function checkStore(store: Measured['store']): Promise<StoreAnswer> {
  const startedAt = performance.now()
  const done = new AbortController()
  const isAvailable = await Promise.race([
    store.check().then(
      () => true,
      () => false,
    ),
    pause(STORE_TIMEOUT_MS, done.signal).then(() => false),
  ])
  done.abort()
  return { isAvailable, seconds: (performance.now() - startedAt) / 1000 }
}
