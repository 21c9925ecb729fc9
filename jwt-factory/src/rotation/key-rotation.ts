import type { Clock, Logger } from '@hallpass/service-kit'
import { ClockWatch } from './clock-watch.ts'
import type { rotationConfig } from './rotation-config.ts'
import { expectedPlan, planRotation, type RotatingKey, type RotationPlan } from './rotation-plan.ts'
import {
  type RotatingKeys,
  type RotationFigures,
  type RotationLease,
  type RotationOutcome,
  ScheduledRotation,
} from './scheduled-rotation.ts'

export interface KeyRotationOptions {
  readonly config: ReturnType<typeof rotationConfig>
  readonly issuer: string
  readonly keys: RotatingKeys
  readonly lease: (milliseconds: number) => Promise<RotationLease | undefined>
  readonly clock: Clock
  readonly log: Logger
  readonly onOutcome: (outcome: RotationOutcome) => void
}

/** The schedule of a factory: carried out if `ROTATE_EVERY` is set, and shown to operators. */
export class KeyRotation {
  readonly clockWatch: ClockWatch
  readonly #scheduled: ScheduledRotation | undefined
  readonly #plan: (key: RotatingKey) => RotationPlan | undefined
  readonly everyMs: number | undefined

  constructor({ config, issuer, ...options }: KeyRotationOptions) {
    const { everyMs, publishAheadMs } = config
    const { clock, log } = options
    const monotonic = () => performance.now()
    this.everyMs = everyMs
    this.clockWatch = new ClockWatch({
      clock,
      monotonic,
      onJump: (jumpMs) =>
        log.warn(
          { jumpMs },
          'the clock of this machine was set; scheduled rotations wait until verifiers know the next keys',
        ),
    })
    const rules = everyMs === undefined ? undefined : { everyMs, publishAheadMs, issuer }
    this.#plan = (key) => rules && expectedPlan(planRotation(key, rules, clock()), rules, clock())
    this.#scheduled =
      rules && new ScheduledRotation({ ...options, rules, monotonic, clockWatch: this.clockWatch })
  }

  get figures(): RotationFigures {
    return this.#scheduled?.figures ?? { overdue: 0, overdueMs: 0 }
  }

  /** When the next key of a key ID is published and signs; undefined if keys are rotated only by hand. */
  planOf(key: RotatingKey): RotationPlan | undefined {
    return this.#plan(key)
  }

  start(): void {
    this.#scheduled?.start()
  }

  async stop(): Promise<void> {
    await this.#scheduled?.stop()
  }
}
