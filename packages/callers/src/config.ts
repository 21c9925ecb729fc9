import { type CommonConfig, isLoopback, type VariableReader } from '@hallpass/service-kit'

/** Who may call: any client that reaches this machine's loopback, the callers in a file, or no one. */
export type CallersConfig =
  | { readonly mode: 'open' }
  | { readonly mode: 'closed' }
  | {
      readonly mode: 'authenticated'
      readonly trustFile: string
      readonly leewaySeconds: number
      /** Whether credentials may only arrive encrypted, see `CommonConfig`. */
      readonly requiresTls?: boolean
      /** Whether a mesh encrypts all connections, so that the keys of callers may be fetched over http. */
      readonly inMesh?: boolean
    }

/**
 * Reads `CALLERS` and `TRUSTED_CALLERS_FILE`. `open` is the default in development mode on loopback and an error anywhere
 * else: any client that reaches an open issuer can act as every service.
 * @param whenUnnamed whether a missing TRUSTED_CALLERS_FILE is an error or closes the service to all callers.
 */
export function callersConfig(
  variables: VariableReader,
  { host, production, clockToleranceSeconds, requiresTls, mesh }: CommonConfig,
  { whenUnnamed = 'error' as 'error' | 'closed' } = {},
): CallersConfig {
  const mayBeOpen = isLoopback(host) && !production
  const mode = variables.oneOf('CALLERS', ['open', 'authenticated'], mayBeOpen ? 'open' : 'authenticated')
  if (mode === 'open') {
    variables.require(
      mayBeOpen,
      `CALLERS=open disables caller authentication, so it needs a loopback HOST (it is ${host}) and a NODE_ENV other than production`,
    )
    return { mode }
  }
  const trustFile = variables.optionalText('TRUSTED_CALLERS_FILE')
  if (trustFile === undefined && whenUnnamed === 'closed') return { mode: 'closed' }
  variables.require(
    trustFile !== undefined,
    'TRUSTED_CALLERS_FILE is required, because callers must authenticate unless HOST is a loopback address and NODE_ENV is not production',
  )
  return {
    mode,
    trustFile: trustFile ?? '',
    leewaySeconds: clockToleranceSeconds,
    requiresTls,
    inMesh: mesh !== undefined,
  }
}
