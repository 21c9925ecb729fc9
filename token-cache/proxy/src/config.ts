import { join } from 'node:path'
import { commonConfig, type Environment, readConfig, storeConfig } from '@hallpass/service-kit'
import { tierTrustConfig } from '@hallpass/tier-trust'
import { accessTokenUse, algorithmsIn, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'
import { IDENTITY_FIELDS, type IdentityField } from './identity/index.ts'

export type Config = ReturnType<typeof loadConfig>

/** The documented time after which a new token is requested, even if the old one is still valid. */
const MAX_AGE_SECONDS = 300
/** Longer than a request waits for a connection to the API, and shorter than the lifetime of any token. */
const MARGIN_SECONDS = 5
/** Issuing a token takes milliseconds; if a proxy is killed during the call, the others wait this long. */
const ISSUER_TIMEOUT_MS = 2_000
/**
 * A user has a handful of clients, a shared account about two dozen. Each causes one call to the issuer in four minutes and
 * takes 1.3 KB in the store, so a user that changes its user agent with each request costs at most 32 calls in five minutes
 * and 42 KB.
 */
const TOKENS_PER_USER = 32
/** About 120 MB. */
const MAX_COPIES = 50_000

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const trust = tierTrustConfig(variables, common)
    const fields = variables.list('IDENTITY_FIELDS', ['remote-user', 'user-agent'])
    variables.require(
      fields[0] === 'remote-user' && new Set(fields).size === fields.length && fields.every(isIdentityField),
      `IDENTITY_FIELDS must be remote-user, then any of ${IDENTITY_FIELDS.slice(1).join(', ')}`,
    )
    const port = variables.port('PORT', 8080)
    const identity = variables.oneOf('IDENTITY', ['remote-user', 'bearer'], 'remote-user')
    const caller =
      identity === 'bearer'
        ? variables.issuerWithKeys({ issuer: 'CALLER_ISSUER', jwksUrl: 'CALLER_JWKS_URL' })
        : { issuer: 'none', jwksUrl: undefined }
    return {
      ...common,
      port,
      /** With certificates between the tiers, operators and probes have their own port. */
      operatorPort: variables.port('OPERATOR_PORT', 8090),
      operatorHost: variables.text('OPERATOR_HOST', '127.0.0.1'),
      adminTokenFile: variables.optionalText('ADMIN_TOKEN_FILE'),
      /** The name of this proxy among the proxies. */
      name: variables.text('PROXY_NAME', `proxy:${port}`),
      trust,
      identity,
      identityFields: fields as IdentityField[],
      /** For IDENTITY=bearer: the issuer and the audience of callers' tokens. */
      callerIssuer: caller.issuer,
      callerJwksUrl: caller.jwksUrl,
      callerAudience: variables.text('CALLER_AUDIENCE', 'token-cache'),
      /** Tells the issuer's access tokens from its ID tokens, whose audience could be this one. */
      callerTokenUse: variables.parsed('TOKEN_USE', 'scoped', accessTokenUse),
      callerAlgorithms: variables.parsed('TOKEN_ALGORITHMS', SIGNATURE_ALGORITHMS.join(), algorithmsIn),
      authUrl: variables.trustedUrl('AUTH_URL', 'http://localhost:8083'),
      apiConnections: variables.integer('API_MAX_CONNECTIONS', 1024, { min: 1 }),
      apiUrl: variables.trustedUrl('API_URL', 'http://localhost:8084'),
      jwtFactoryUrl: variables.trustedUrl('JWT_FACTORY_URL', 'http://localhost:5555'),
      issuer: variables.trustedIssuer('ISSUER', 'https://jwt-factory/'),
      audience: variables.text('AUDIENCE', 'token-cache-api'),
      /** The longest accepted lifetime of a token. */
      maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_SECONDS', 3600, { min: 1 }),
      maxAgeMs: 1000 * variables.seconds('CACHE_SECONDS', MAX_AGE_SECONDS, { min: 1, max: 3600 }),
      marginMs: 1000 * variables.seconds('MARGIN_SECONDS', MARGIN_SECONDS, { min: 0, max: 60 }),
      issuerTimeoutMs: variables.milliseconds('ISSUER_TIMEOUT_MS', ISSUER_TIMEOUT_MS, {
        min: 10,
        max: 30_000,
      }),
      tokensPerUser: variables.integer('TOKENS_PER_USER', TOKENS_PER_USER, { min: 1, max: 1_000 }),
      maxCopies: variables.integer('MAX_COPIES', MAX_COPIES, { min: 1 }),
      store: storeConfig(variables, join(common.stateFolder, 'token-cache')),
      /** The dashboard's own files and the shared ones. */
      assetsFolder: variables.text('ASSETS_FOLDER', 'token-cache/proxy/public'),
      houseFolder: variables.text('HOUSE_FOLDER', 'web-ui/public'),
    }
  })

function isIdentityField(name: string): name is IdentityField {
  return (IDENTITY_FIELDS as readonly string[]).includes(name)
}
