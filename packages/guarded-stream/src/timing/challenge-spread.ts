import { Tally } from '@hallpass/service-kit'

/** Up to this many challenges with one due time are sent at that time: answering them takes a few milliseconds. */
const AT_ONCE = 25
/** As many again are sent this much earlier: 1,250 per second, half of what one core verifies. It is the wheel's tick. */
const STEP_MS = 20
/** The part of the challenge window by which a challenge is early at most: of ten seconds, 2.5. */
const LONGEST_LEAD = 1 / 4

/**
 * Spreads the challenges of many streams whose tokens expire at the same time, so that their answers do not arrive at the same
 * time. Challenges become earlier, never later: a client needs its full window to answer.
 */
export class ChallengeSpread {
  readonly #waiting = new Tally<number>()

  /** Returns how much earlier than `dueAt` to send one more challenge, in milliseconds. Call {@link release} when it is sent. */
  claim(dueAt: number, windowMs: number): number {
    const waiting = this.#waiting.of(dueAt)
    this.#waiting.add(dueAt)
    const steps = Math.floor((windowMs * LONGEST_LEAD) / STEP_MS)
    return (Math.floor(waiting / AT_ONCE) % (steps + 1)) * STEP_MS
  }

  release(dueAt: number): void {
    this.#waiting.remove(dueAt)
  }
}
