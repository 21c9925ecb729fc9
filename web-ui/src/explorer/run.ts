/** What can be made wrong on purpose; the same names as service A's `?fault=`. */
export const FAULTS = ['expired', 'wrong-audience', 'wrong-key', 'tampered', 'no-token'] as const
export type Fault = (typeof FAULTS)[number]

/** A scenario that was run, with its answer. */
export interface Run {
  readonly traceId: string
  readonly scenario: number
  readonly fault: Fault | undefined
  readonly status: number
  readonly answer: unknown
  readonly durationMs: number
  /** The command that does the same. */
  readonly curl: string
}
