import type { Clock, Logger } from '@hallpass/service-kit'
import { callAfter } from '@hallpass/untrusted/timers'
import type { ClockWatch } from './clock-watch.ts'
import { planRotation, type RotatingKey, type RotationPlan, type RotationRules } from './rotation-plan.ts'

/** The keys that are rotated. Each method may be called for keys that another replica has meanwhile changed. */
export interface RotatingKeys {
  /** Returns the current keys of every key ID. @throws if they are not known now */
  list(): Promise<readonly RotatingKey[]>
  /** Publishes the next key, unless there is one. */
  publishNext(keyId: string): Promise<void>
  /** Makes the next key the signing key, unless `signingKid` no longer signs. @returns whether it did */
  rotate(keyId: string, signingKid: string): Promise<boolean>
}

export interface RotationLease {
  release(): Promise<void>
}

export type RotationOutcome = 'published' | 'rotated' | 'failed'

export interface ScheduledRotationOptions {
  readonly rules: RotationRules
  readonly keys: RotatingKeys
  /** Acquires the right to rotate, which one replica at a time has; undefined while another has it. */
  readonly lease: (milliseconds: number) => Promise<RotationLease | undefined>
  readonly clock: Clock
  /** Milliseconds since any moment; never set. */
  readonly monotonic: () => number
  readonly clockWatch: ClockWatch
  readonly log: Logger
  readonly onOutcome: (outcome: RotationOutcome) => void
}

/** How the schedule is doing. */
export interface RotationFigures {
  /** How long the most overdue key ID has been waiting, in milliseconds; 0 if none is. */
  readonly overdueMs: number
  /** How many key IDs are overdue. */
  readonly overdue: number
}

/**
 * New key IDs, and rotations by other replicas, are noticed within a minute. It is far below Node's longest timer, which
 * fires immediately if it is set for more than 2^31-1 ms, and a clock that is set forward is noticed as soon.
 */
const MAX_WAIT_MS = 60_000
/** What has failed, or what another replica is doing, is not looked at more often. */
const MIN_WAIT_MS = 1_000
/** A process that is killed while it rotates keeps the others from rotating for this time. */
const LEASE_MS = 60_000
/** No work is begun after this part of the lease, so that it is done when the lease expires. */
const WORK_MS = LEASE_MS / 2
/** RSA keys are generated on Node's four threads; signing needs the others. */
const AT_ONCE = 2
/** A failed rotation is retried after 1 s, 2 s, … 5 min: long before anyone notices an old key. */
const FIRST_RETRY_MS = 1_000
const MAX_RETRY_MS = 300_000
/** On time: a look per minute, and the work before it. Later is overdue. */
const PUNCTUAL_MS = 2 * MAX_WAIT_MS

interface Planned {
  readonly key: RotatingKey
  readonly plan: RotationPlan
}

interface Failure {
  readonly times: number
  readonly retryAt: number
}

/**
 * Publishes and rotates keys on schedule. It never lets a key sign before verifiers have had `publishAheadMs` to load it. This
 * is measured by the monotonic clock from the time when this process first saw the key; for a key that is older than the
 * process by the clock of the machine, unless that clock has just been set.
 */
export class ScheduledRotation {
  readonly #options: ScheduledRotationOptions
  /** Failures by key ID; '' is the schedule itself. */
  readonly #failures = new Map<string, Failure>()
  /** When this process first saw a next key, by the monotonic clock, by kid. */
  #firstSeen = new Map<string, number>()
  #planned: readonly Planned[] = []
  #figures: RotationFigures = { overdueMs: 0, overdue: 0 }
  #cancel: (() => void) | undefined
  #working: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: ScheduledRotationOptions) {
    this.#options = options
  }

  get figures(): RotationFigures {
    return this.#figures
  }

  /** Begins to rotate, now and whenever something is due. */
  start(): void {
    this.#working = this.#look()
  }

  /** Stops. Resolves when the rotations under way are done. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#working
  }

  async #look(): Promise<void> {
    const waitMs = await this.work()
    if (this.#stopped) return
    this.#cancel = callAfter(waitMs, () => {
      this.#working = this.#look()
    })
  }

  /** Does what is due, and returns after how many milliseconds to look again. Never throws. */
  async work(): Promise<number> {
    const { monotonic, lease, log, onOutcome } = this.#options
    try {
      const due = (await this.#plans()).filter((planned) => this.#isDue(planned))
      if (due.length > 0) {
        const held = await lease(LEASE_MS)
        if (!held) return MIN_WAIT_MS
        try {
          await this.#doAll(due, monotonic() + WORK_MS)
        } finally {
          await held.release()
        }
      }
      const waitMs = this.#wait(due.length > 0 ? await this.#plans() : this.#planned)
      this.#failures.delete('')
      return waitMs
    } catch (error) {
      const { retryAt } = this.#failed('')
      log.error({ err: error }, 'scheduled rotation is not possible now; it is retried')
      onOutcome('failed')
      return retryAt - monotonic()
    }
  }

  /** Plans the rotations of all key IDs, and takes note of the next keys, the failures, and what is overdue. */
  async #plans(): Promise<readonly Planned[]> {
    const { keys, clock, clockWatch, monotonic, rules } = this.#options
    clockWatch.look()
    const all = await keys.list()
    const now = clock()
    const seen = new Map<string, number>()
    for (const { next } of all) if (next) seen.set(next.kid, this.#firstSeen.get(next.kid) ?? monotonic())
    this.#firstSeen = seen
    const keyIds = new Set(all.map(({ keyId }) => keyId)).add('')
    for (const keyId of this.#failures.keys()) if (!keyIds.has(keyId)) this.#failures.delete(keyId)

    this.#planned = all.map((key) => ({ key, plan: planRotation(key, rules, now) }))
    const late = this.#planned.map(({ plan }) => now - plan.rotateAtMs).filter((ms) => ms > PUNCTUAL_MS)
    this.#figures = { overdueMs: late.reduce((most, ms) => Math.max(most, ms), 0), overdue: late.length }
    return this.#planned
  }

  #isDue({ key, plan }: Planned): boolean {
    const { clock, monotonic } = this.#options
    if (this.#retryAt(key.keyId) > monotonic()) return false
    if (plan.publishAtMs !== undefined) return plan.publishAtMs <= clock()
    return plan.rotateAtMs <= clock() && this.#isKnown(key)
  }

  /** Returns whether verifiers have had the time to load the next key. */
  #isKnown({ next }: RotatingKey): boolean {
    if (!next) return false
    const { clock, monotonic, clockWatch, rules } = this.#options
    const sinceMs = monotonic() - (this.#firstSeen.get(next.kid) ?? monotonic())
    if (sinceMs >= rules.publishAheadMs) return true
    // Published before this process has seen it; believed only while the clock is.
    return clockWatch.sinceJumpMs >= rules.publishAheadMs && next.sinceMs + rules.publishAheadMs <= clock()
  }

  async #doAll(due: readonly Planned[], until: number): Promise<void> {
    const waiting = due[Symbol.iterator]()
    const worker = async () => {
      for (const { key } of waiting) {
        if (this.#stopped || this.#options.monotonic() >= until) return
        await this.#do(key)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }

  async #do({ keyId, signing, next }: RotatingKey): Promise<void> {
    const { keys, log, onOutcome, monotonic } = this.#options
    try {
      if (!next) {
        await keys.publishNext(keyId)
        onOutcome('published')
      } else if (await keys.rotate(keyId, signing.kid)) onOutcome('rotated')
      this.#failures.delete(keyId)
    } catch (error) {
      const { retryAt, times } = this.#failed(keyId)
      const retryMs = retryAt - monotonic()
      log.error({ err: error, keyId, times, retryMs }, 'a scheduled rotation failed; it is retried')
      onOutcome('failed')
    }
  }

  #failed(name: string): Failure {
    const times = (this.#failures.get(name)?.times ?? 0) + 1
    const wait = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(times - 1, 16))
    const failure = { times, retryAt: this.#options.monotonic() + wait }
    this.#failures.set(name, failure)
    return failure
  }

  /** Returns the time until something is due, or may be retried. */
  #wait(planned: readonly Planned[]): number {
    const { clock, monotonic, rules } = this.#options
    // A key ID that is created meanwhile is due after half a period at the earliest, which is longer than this.
    let waitMs = Math.min(MAX_WAIT_MS, rules.publishAheadMs)
    for (const { key, plan } of planned) {
      const dueMs = (plan.publishAtMs ?? plan.rotateAtMs) - clock()
      waitMs = Math.min(waitMs, Math.max(dueMs, this.#retryAt(key.keyId) - monotonic()))
    }
    return Math.max(MIN_WAIT_MS, waitMs)
  }

  #retryAt(keyId: string): number {
    return this.#failures.get(keyId)?.retryAt ?? Number.NEGATIVE_INFINITY
  }
}
