import { type CommonConfig, isLoopback, type VariableReader } from '@hallpass/service-kit'

/**
 * Reads `PUBLISHERS` or `READERS`, and returns whether these need a token:
 *
 * - `token`, the default in production: yes.
 * - `open`, the default in development mode: every program on this machine is one, and no other.
 * - `network`: no, because the network admits only them, by the policies of a mesh or by a NetworkPolicy. The operator asserts
 *   that; this server cannot see it.
 */
export function accessRule(
  variables: VariableReader,
  { host, production }: CommonConfig,
  name: 'PUBLISHERS' | 'READERS',
): boolean {
  const rule = variables.oneOf(name, ['open', 'token', 'network'], production ? 'token' : 'open')
  const open = `${name}=open does not authenticate ${name.toLowerCase()}, so`
  variables.require(
    rule !== 'open' || isLoopback(host),
    `${open} HOST must be a loopback address, but is "${host}"`,
  )
  variables.require(
    rule !== 'open' || !production,
    `${open} it is not allowed in production: use token, or network if the network admits no others`,
  )
  return rule === 'token'
}
