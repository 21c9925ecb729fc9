import { badRequest } from '@hallpass/service-kit'
import type { Request } from 'express'
import { wantsExpired } from './wants-expired.ts'

/** What can be made wrong with the token of a scenario, on purpose, to see who refuses it and why. */
export const FAULTS = ['expired', 'wrong-audience', 'wrong-key', 'tampered', 'no-token'] as const
export type Fault = (typeof FAULTS)[number]

/** The audience of a token that is for somebody else. */
export const SOMEBODY_ELSE = 'somebody-else'

/**
 * `?fault=tampered`, or the documented `?expired=1`.
 * @param faults those that the scenario can make
 * @param known the message when another is asked for
 * @throws {HttpError} 400 `unknown_fault`, with those that there are.
 */
export function faultOf(
  request: Pick<Request, 'query'>,
  faults: readonly Fault[] = FAULTS,
  known = `A fault is one of ${faults.join(', ')}.`,
): Fault | undefined {
  const { fault } = request.query
  const asked = fault || (wantsExpired(request) ? 'expired' : undefined)
  if (asked === undefined) return undefined
  if ((faults as readonly unknown[]).includes(asked)) return asked as Fault
  throw badRequest('unknown_fault', known)
}

/** The token with another subject under the same signature, as a thief would try it. */
export function tamper(token: string): string {
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const changed = Buffer.from(JSON.stringify({ ...claims, admin: true })).toString('base64url')
  return `${header}.${changed}.${signature}`
}
