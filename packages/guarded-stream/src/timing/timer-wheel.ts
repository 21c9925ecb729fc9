import type { Clock } from '@hallpass/service-kit'

/**
 * A stream must close within 50 ms of its token's expiry. A deadline is at most one tick late, so 20 ms leave 30 ms for a
 * busy event loop. 50 ticks per second cost less than 0.1% of a core.
 */
const TICK_MS = 20
/**
 * The longest that deadlines fire before other work of the event loop gets a turn. A request takes about four turns of the loop
 * (TLS, HTTP/2, handler, write), so it waits about 20 ms for 10,000 deadlines with one time, and not for all of them.
 */
const SLICE_MS = 5
/** One turn of the wheel takes 20.48 s. Later deadlines stay in their slot and are skipped, at about 1 ns each. */
const SLOTS = 1_024

/** A callback that is due at a given time. It contains the wheel's own fields, so that arming allocates nothing. */
export class Deadline {
  /** When it is due, in milliseconds since the epoch; `undefined` if it is not armed. */
  dueAt: number | undefined
  /** The slot or queue that contains it. */
  slot: Set<Deadline> | undefined
  readonly wake: (now: number) => void

  constructor(wake: (now: number) => void) {
    this.wake = wake
  }
}

/**
 * Uses one timer for all deadlines of the process (a hashed timing wheel, Varghese and Lauck): arming and disarming cost
 * the same for one stream and for 100,000. A deadline fires at its time or up to one tick later, never earlier. If the
 * clock jumps (a test advances it, a laptop wakes up), everything that is then due fires at the next tick.
 *
 * Deadlines that are due at once fire in slices, the earliest first, so that those of many streams delay nothing else.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #slots: Set<Deadline>[] = Array.from({ length: SLOTS }, () => new Set())
  /** The deadlines that are due, in the order in which they fire. */
  readonly #due = new Set<Deadline>()
  #nextSlice: NodeJS.Immediate | undefined
  #armed = 0
  /** The last tick whose slot was checked. */
  #tick: number
  #ticking: NodeJS.Timeout | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#tick = this.#tickOf(clock())
  }

  /** Arms a deadline, or moves it if it is already armed. */
  arm(deadline: Deadline, dueAt: number): void {
    this.disarm(deadline)
    if (this.#armed === 0) this.#tick = this.#tickOf(this.#clock())
    // Deadlines that are already due go into the current slot, which the next turn checks.
    const tick = Math.max(this.#tickOf(dueAt), this.#tick)
    this.#put(deadline, dueAt, this.#slots[tick % SLOTS] as Set<Deadline>)
    this.#ticking ??= setInterval(() => this.turn(), TICK_MS).unref()
  }

  /** Makes a deadline due now: it fires in the next slice, after those that are due already. */
  fireSoon(deadline: Deadline): void {
    this.disarm(deadline)
    this.#put(deadline, this.#clock(), this.#due)
    this.#nextSlice ??= setImmediate(() => this.#fireSlice())
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

  /** Fires a slice of the deadlines that are due. The interval calls it; tests can call it earlier. */
  turn(): void {
    const now = this.#clock()
    const target = this.#tickOf(now)
    // After a jump of more than one turn, each slot is checked once, not once per turn. The current slot is checked again,
    // because its tick may not have been over at the last check.
    const first = Math.max(this.#tick, target - SLOTS + 1)
    const due: Deadline[] = []
    for (let tick = first; tick <= target; tick += 1)
      for (const deadline of this.#slots[tick % SLOTS] as Set<Deadline>)
        if ((deadline.dueAt as number) <= now) due.push(deadline)
    this.#tick = target
    // Stable: the streams of a connection were mostly armed one after the other, and then share a write.
    due.sort((a, b) => (a.dueAt as number) - (b.dueAt as number))
    for (const deadline of due) {
      deadline.slot?.delete(deadline)
      deadline.slot = this.#due
      this.#due.add(deadline)
    }
    // Otherwise, the rest of an earlier turn fires in its own slice, so that two slices never follow each other.
    if (this.#nextSlice === undefined) this.#fireSlice()
  }

  /** Fires what is due, and stops. */
  finish(): void {
    for (const deadline of this.#due) this.#wake(deadline, this.#clock())
    this.stop()
  }

  stop(): void {
    clearInterval(this.#ticking)
    clearImmediate(this.#nextSlice)
    this.#ticking = undefined
    this.#nextSlice = undefined
  }

  #fireSlice() {
    this.#nextSlice = undefined
    const now = this.#clock()
    const end = performance.now() + SLICE_MS
    for (const deadline of this.#due) {
      this.#wake(deadline, now)
      if (performance.now() >= end) break
    }
    if (this.#due.size > 0) this.#nextSlice ??= setImmediate(() => this.#fireSlice())
  }

  #wake(deadline: Deadline, now: number) {
    this.disarm(deadline)
    deadline.wake(now)
  }

  #put(deadline: Deadline, dueAt: number, slot: Set<Deadline>) {
    deadline.dueAt = dueAt
    deadline.slot = slot
    slot.add(deadline)
    this.#armed += 1
  }

  #tickOf(time: number): number {
    return Math.floor(time / TICK_MS)
  }
}
