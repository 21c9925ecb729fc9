/** The faults that can be caused on purpose; the same names as service A's `?fault=`. */
export const FAULTS = ['expired', 'wrong-audience', 'wrong-key', 'tampered', 'no-token'] as const
export type Fault = (typeof FAULTS)[number]

/** A scenario that was run, with its result. */
export interface Run {
  readonly traceId: string
  readonly scenario: number
  readonly fault: Fault | undefined
  readonly status: number
  readonly answer: unknown
  readonly durationMs: number
  /** The equivalent command. */
  readonly curl: string
}
