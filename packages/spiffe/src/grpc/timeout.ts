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

/** The protocol allows eight digits. */
const MAX_VALUE = 99_999_999

/** `grpc-timeout` for so many milliseconds. */
export function formatTimeout(milliseconds: number): string {
  const whole = Math.max(1, Math.ceil(milliseconds))
  return whole <= MAX_VALUE ? `${whole}m` : `${Math.min(MAX_VALUE, Math.ceil(whole / 1000))}S`
}

/**
 * The milliseconds of a `grpc-timeout`.
 *
 * @throws GrpcError Internal, for one that is malformed
 */
export function parseTimeout(value: string): number {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value)
  if (!match) throw new GrpcError(status.internal, 'malformed grpc-timeout')
  return Number(match[1]) * (MILLISECONDS_PER_UNIT[match[2] as string] as number)
}

/** Calls back once, in so many milliseconds, and keeps the process alive until then; the returned function calls it off. */
export const startTimer = (milliseconds: number, callBack: () => void): (() => void) =>
  callAfter(milliseconds, callBack, { keepAlive: true })
