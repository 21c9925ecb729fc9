import { badRequest } from '@hallpass/service-kit'
import type { Request } from 'express'
import { wantsExpired } from './wants-expired.ts'

/** The faults that a scenario can put into its token, to show which service rejects it and why. */
export const FAULTS = ['expired', 'wrong-audience', 'wrong-key', 'tampered', 'no-token'] as const
export type Fault = (typeof FAULTS)[number]

/** The audience of a token for another service. */
export const SOMEBODY_ELSE = 'somebody-else'

/**
 * Reads the fault from `?fault=tampered`, or from the documented `?expired=1`.
 * @param faults those that the scenario supports
 * @param known the message if another one is requested
 * @throws {HttpError} 400 `unknown_fault`, listing the supported ones, or `conflicting_faults`
 */
export function faultOf(
  request: Pick<Request, 'query'>,
  faults: readonly Fault[] = FAULTS,
  known = `fault must be one of ${faults.join(', ')}.`,
): Fault | undefined {
  const { fault } = request.query
  const expired = wantsExpired(request) ? 'expired' : undefined
  const asked = fault ?? expired
  if (asked === undefined) return undefined
  if (!(faults as readonly unknown[]).includes(asked)) throw badRequest('unknown_fault', known)
  if (expired !== undefined && asked !== expired)
    throw badRequest(
      'conflicting_faults',
      `expired and fault=${asked} are two faults. Send only one of them.`,
    )
  return asked as Fault
}

/** Returns the token with another subject under the same signature, as an attacker would try it. */
export function tamper(token: string): string {
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const changed = Buffer.from(JSON.stringify({ ...claims, admin: true })).toString('base64url')
  return `${header}.${changed}.${signature}`
}
