import { callAfter } from '@hallpass/untrusted/timers'
import { GrpcError, status } from './status.ts'

const MILLISECONDS_PER_UNIT: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
}

/** The protocol allows up to eight digits. */
const MAX_VALUE = 99_999_999

/** Formats milliseconds as a `grpc-timeout`. */
export function formatTimeout(milliseconds: number): string {
  const whole = Math.max(1, Math.ceil(milliseconds))
  return whole <= MAX_VALUE ? `${whole}m` : `${Math.min(MAX_VALUE, Math.ceil(whole / 1000))}S`
}

/**
 * Parses a `grpc-timeout` to milliseconds.
 *
 * @throws GrpcError Internal if it is malformed
 */
export function parseTimeout(value: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value)
  if (!match) throw new GrpcError(status.internal, 'malformed grpc-timeout')
  return Number(match[1]) * (MILLISECONDS_PER_UNIT[match[2] as string] as number)
}

/** Calls back once after this time, and keeps the process alive until then. Returns a function that cancels it. */
export const startTimer = (milliseconds: number, callBack: () => void): (() => void) =>
  callAfter(milliseconds, callBack, { keepAlive: true })
