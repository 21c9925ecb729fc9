import { authorizationFor, credentialConfig } from '@hallpass/callers'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import { type Clock, requireBearer, systemClock, type VariableReader } from '@hallpass/service-kit'
import { libraryNamed, verifyToken } from '@hallpass/tokens'
import { keySetFileOf, MAX_TOKEN_LIFETIME_SECONDS, SERVICE_A, SERVICE_A_ISSUER } from './identity.ts'
import { publishedKeys } from './published-keys.ts'

/** Two clocks of one machine room differ by less. */
const LEEWAY_SECONDS = 5

/** What a callee of service A must be told: where the factory is, and how to prove to it who asks. */
export const serviceAGuardsConfig = (variables: VariableReader) => ({
  jwtFactoryUrl: variables.url('JWT_FACTORY_URL', 'http://localhost:5555'),
  jwtFactoryIssuer: variables.text('JWT_FACTORY_ISSUER', 'https://jwt-factory/'),
  peerTimeoutMs: variables.milliseconds('PEER_TIMEOUT_MS', 5_000, { min: 10, max: 60_000 }),
  credential: credentialConfig(variables),
  /** What verifies in scenarios 3 and 4; all of them do the same. */
  library: variables.parsed('TOKEN_LIBRARY', 'node-crypto', (name) => libraryNamed(name, ['RS256'])),
})

export type ServiceAGuardsConfig = ReturnType<typeof serviceAGuardsConfig> & { readonly stateFolder: string }

/**
 * How a callee makes sure that it is service A that calls.
 * @param name the callee's own name, which the tokens must be made for.
 */
export function serviceAGuards(config: ServiceAGuardsConfig, name: string, clock: Clock = systemClock) {
  const factory = createJwtFactoryClient({
    baseUrl: config.jwtFactoryUrl,
    timeoutMs: config.peerTimeoutMs,
    authorization: authorizationFor(config.credential, { clientId: name, audience: config.jwtFactoryIssuer }),
  })
  const keys = publishedKeys(keySetFileOf(config.stateFolder), clock)

  return {
    /** Scenarios 1 and 2: the factory holds the keys, so it is asked. */
    byFactory: requireBearer({
      realm: name,
      verify: (token) => factory.verify(SERVICE_A, { token, aud: name, sub: SERVICE_A }),
    }),
    /** Scenarios 3 and 4: service A's public key is enough, and nobody is asked. */
    byItsOwnKey: requireBearer({
      realm: name,
      verify: (token) =>
        verifyToken(token, {
          issuer: SERVICE_A_ISSUER,
          audience: name,
          subject: SERVICE_A,
          keys,
          maxLifetimeSeconds: MAX_TOKEN_LIFETIME_SECONDS,
          leewaySeconds: LEEWAY_SECONDS,
          clock,
          library: config.library,
        }),
      refusalBody: (error) => ({ valid: false, error, claims: {} }),
    }),
  }
}
