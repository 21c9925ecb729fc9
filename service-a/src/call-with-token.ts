import type { Callee, Outcome } from './callees/index.ts'
import { type Fault, SOMEBODY_ELSE, tamper } from './fault.ts'
import type { TokenSource } from './token-source.ts'

/** Calls an endpoint with a token for this callee, or with the fault that the request selects. */
export async function callWithToken(
  tokens: TokenSource,
  callee: Callee,
  path: string,
  fault: Fault | undefined,
): Promise<Outcome> {
  if (fault === 'no-token') return callee.call(path, undefined)
  const token = await tokens(fault === 'wrong-audience' ? SOMEBODY_ELSE : callee.name, fault)
  return callee.call(path, fault === 'tampered' ? tamper(token) : token)
}
