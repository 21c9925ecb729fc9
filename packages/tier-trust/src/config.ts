import { join } from 'node:path'
import { type CommonConfig, tlsConfig, type VariableReader } from '@hallpass/service-kit'

/** How the tiers know each other. */
export type TierTrustConfig = ReturnType<typeof tierTrustConfig>

/**
 * Reads `TIER_TRUST`, and what belongs to it. A shared secret will do on one machine, where a file's owner is
 * known; between machines the tiers show each other certificates, and everything between them is encrypted.
 */
export function tierTrustConfig(variables: VariableReader, common: CommonConfig) {
  const kind = variables.oneOf(
    'TIER_TRUST',
    ['secret', 'certificate'],
    common.production ? 'certificate' : 'secret',
  )
  variables.require(
    kind === 'certificate' || !common.production,
    'TIER_TRUST=secret sends identities in the clear, so it needs NODE_ENV other than production',
  )
  return {
    kind,
    secretFile: variables.text('TIER_SECRET_FILE', join(common.stateFolder, 'token-cache', 'tier-secret')),
    /** The certificates, by DNS or URI name (a SPIFFE ID), of the tiers whose word about identities is taken. */
    names: variables.list('TIER_NAMES', ['localhost']),
    tls: tlsConfig(variables, common),
    stateFolder: common.stateFolder,
  }
}
