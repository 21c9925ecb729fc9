import type { Clock } from '@hallpass/service-kit'

/**
 * A stream must end within 50 ms of its token's expiry. A deadline waits at most one tick, so 20 ms leaves
 * 30 ms for a busy event loop; 50 wake-ups a second cost less than 0.1 % of a core.
 */
const TICK_MS = 20
/** One turn of the wheel is 20.48 s; what is due later stays in its slot and is passed over, at about 1 ns each. */
const SLOTS = 1_024

/** Something that wants to be woken at a time; the wheel's own fields are on it, so that arming allocates nothing. */
export class Deadline {
  /** When, in milliseconds since the epoch; `undefined` when not armed. */
  dueAt: number | undefined
  /** The slot that it waits in. */
  slot: Set<Deadline> | undefined
  readonly wake: (now: number) => void

  constructor(wake: (now: number) => void) {
    this.wake = wake
  }
}

/**
 * One timer for every deadline of the process (a hashed wheel after Varghese and Lauck): arming and disarming cost
 * the same for one stream and for a hundred thousand. A deadline fires at its time or up to a tick later, never
 * before. The clock may jump (a test moves it, a laptop wakes up): whatever became due fires at the next tick.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #slots: Set<Deadline>[] = Array.from({ length: SLOTS }, () => new Set())
  #armed = 0
  /** The last tick whose slot was emptied. */
  #tick: number
  #ticking: NodeJS.Timeout | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#tick = this.#tickOf(clock())
  }

  /** Arms a deadline, or moves it when it is armed already. */
  arm(deadline: Deadline, dueAt: number): void {
    this.disarm(deadline)
    if (this.#armed === 0) this.#tick = this.#tickOf(this.#clock())
    // What is already due goes into the present slot, which the next turn looks at.
    const tick = Math.max(this.#tickOf(dueAt), this.#tick)
    deadline.dueAt = dueAt
    deadline.slot = this.#slots[tick % SLOTS] as Set<Deadline>
    deadline.slot.add(deadline)
    this.#armed += 1
    this.#ticking ??= setInterval(() => this.turn(), TICK_MS).unref()
  }

  disarm(deadline: Deadline): void {
    if (deadline.slot === undefined) return
    deadline.slot.delete(deadline)
    deadline.slot = undefined
    deadline.dueAt = undefined
    this.#armed -= 1
    if (this.#armed === 0) this.stop()
  }

  get armed(): number {
    return this.#armed
  }

  /** Fires what is due by now. The interval calls it; a test may, to be ahead of the interval. */
  turn(): void {
    const now = this.#clock()
    const target = this.#tickOf(now)
    // After a jump of more than a turn every slot is looked at once, not once per turn. The current slot is looked
    // at again, because only a part of its tick may have passed when it was looked at last.
    const first = Math.max(this.#tick, target - SLOTS + 1)
    for (let tick = first; tick <= target; tick += 1) this.#fire(tick, now)
    this.#tick = target
  }

  stop(): void {
    clearInterval(this.#ticking)
    this.#ticking = undefined
  }

  #fire(tick: number, now: number) {
    const slot = this.#slots[tick % SLOTS] as Set<Deadline>
    for (const deadline of slot) {
      if (deadline.dueAt === undefined || deadline.dueAt > now) continue
      this.disarm(deadline)
      deadline.wake(now)
    }
  }

  #tickOf(time: number): number {
    return Math.floor(time / TICK_MS)
  }
}
