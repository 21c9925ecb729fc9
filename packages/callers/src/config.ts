import { type CommonConfig, isLoopback, type VariableReader } from '@hallpass/service-kit'

/** Who may call: anybody who reaches this machine's loopback, callers that a file names, or nobody. */
export type CallersConfig =
  | { readonly mode: 'open' }
  | { readonly mode: 'closed' }
  | { readonly mode: 'authenticated'; readonly trustFile: string }

/**
 * Reads `CALLERS` and `TRUSTED_CALLERS_FILE`. Open is the default of a development start on loopback, and
 * impossible anywhere else: whoever reaches an open issuer is every service at once.
 * @param whenUnnamed what it means that no file names callers: a mistake, or that nobody may call.
 */
export function callersConfig(
  variables: VariableReader,
  { host, production }: CommonConfig,
  { whenUnnamed = 'refused' as 'refused' | 'closed' } = {},
): CallersConfig {
  const mayBeOpen = isLoopback(host) && !production
  const mode = variables.oneOf('CALLERS', ['open', 'authenticated'], mayBeOpen ? 'open' : 'authenticated')
  if (mode === 'open') {
    variables.require(
      mayBeOpen,
      `CALLERS=open serves whoever asks, so it needs a loopback HOST (it is ${host}) and NODE_ENV other than production`,
    )
    return { mode }
  }
  const trustFile = variables.optionalText('TRUSTED_CALLERS_FILE')
  if (trustFile === undefined && whenUnnamed === 'closed') return { mode: 'closed' }
  variables.require(
    trustFile !== undefined,
    'TRUSTED_CALLERS_FILE is required, because callers must prove who they are unless HOST is loopback and NODE_ENV is not production',
  )
  return { mode, trustFile: trustFile ?? '' }
}
