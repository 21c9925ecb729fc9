import { join } from 'node:path'
import { type CommonConfig, tlsConfig, type VariableReader } from '@hallpass/service-kit'

/** How the tiers authenticate to each other. */
export type TierTrustConfig = ReturnType<typeof tierTrustConfig>

/**
 * Reads `TIER_TRUST` and its related variables. A shared secret is enough on one machine, where file permissions protect
 * it. Between machines, the tiers authenticate with certificates, and their connections are encrypted.
 */
export function tierTrustConfig(variables: VariableReader, common: CommonConfig) {
  const kind = variables.oneOf(
    'TIER_TRUST',
    ['secret', 'certificate'],
    common.production ? 'certificate' : 'secret',
  )
  variables.require(
    kind === 'certificate' || !common.production,
    'TIER_TRUST=secret sends identities unencrypted, so it is not allowed with NODE_ENV=production',
  )
  return {
    kind,
    secretFile: variables.text('TIER_SECRET_FILE', join(common.stateFolder, 'token-cache', 'tier-secret')),
    /** DNS or URI names (SPIFFE IDs) in the certificates of the tiers whose identity headers are trusted. */
    names: variables.list('TIER_NAMES', ['localhost']),
    tls: tlsConfig(variables, common),
    stateFolder: common.stateFolder,
  }
}
