import type { CallerGuard } from '@hallpass/callers'
import { ConfigError } from '@hallpass/service-kit'
import type { Config } from '../config.ts'

/**
 * Checks that a listener requests the certificates with which clients of the trusted-callers file authenticate.
 * @throws {ConfigError} if none does, because those clients could never call
 */
export function requireClientCertificates(
  callers: Pick<CallerGuard, 'authentication'>,
  { clientCertificates }: Pick<Config, 'clientCertificates'>,
): void {
  if (clientCertificates || !callers.authentication().methods.includes('tls_client_auth')) return
  throw new ConfigError([
    'CLIENT_CA_FILE is required, because TRUSTED_CALLERS_FILE has clients with tls_client_auth, whose certificates the ' +
      'TLS listener must request: set it with HTTPS_PORT to the CAs of these clients',
  ])
}
