import { join } from 'node:path'
import { callersConfig } from '@hallpass/callers'
import {
  commonConfig,
  type Environment,
  httpsConfig,
  isLoopback,
  readConfig,
  storeConfig,
} from '@hallpass/service-kit'
import { signersConfig } from '@hallpass/signers'
import { libraryNamed } from '@hallpass/tokens'
import { rotationConfig } from './rotation/index.ts'

/** One hour, the documented lifetime: callers can cache a token for a while, and a stolen one expires soon. */
const TOKEN_LIFETIME_SECONDS = 3600

/** How long a verifier does not see a revocation; each verifier loads each list of its tokens this often. */
const STATUS_LIST_TTL_SECONDS = 10
/** Beyond this, a short token lifetime is the simpler way to revoke. */
const MAX_STATUS_LIST_TTL_SECONDS = 300

export type Config = ReturnType<typeof loadConfig>

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const store = storeConfig(variables, join(common.stateFolder, 'issuer'))
    const algorithm = variables.oneOf('ALGORITHM', ['RS256', 'PS256', 'ES256', 'EdDSA'], 'RS256')
    const https = httpsConfig(variables, common)
    variables.require(
      !common.requiresTls || https.httpsPort !== undefined || isLoopback(common.host),
      'HTTPS_PORT is required with NODE_ENV=production, because callers send their credentials and get tokens, with ' +
        'CERT_FILE and KEY_FILE; or set MESH to the name of the mesh that encrypts and authenticates its connections',
    )
    const statusList = variables.flag('STATUS_LIST', false)
    const publicUrl = variables.optionalTrustedUrl('PUBLIC_URL')
    // The URIs are in the tokens: a localhost of another machine would make every token unverifiable.
    variables.require(
      !statusList || !common.production || publicUrl !== undefined,
      'STATUS_LIST needs PUBLIC_URL, the base URL of this service as verifiers see it, in production',
    )
    return {
      ...common,
      port: variables.port('PORT', 5555),
      ...https,
      /** The `iss` of every token, and the audience of a caller's credential. */
      issuer: variables.trustedIssuer('ISSUER', 'https://jwt-factory/'),
      /** The base URL of this service, for its metadata. */
      publicUrl,
      /** The base URL of the listener that requests client certificates, for its metadata (RFC 8705 §5). */
      mtlsUrl: variables.optionalTrustedUrl('MTLS_PUBLIC_URL'),
      /** Where the issuer's state is: keys, revocations, used assertions. */
      store,
      signers: signersConfig(variables, {
        stateFolder: common.stateFolder,
        // In development, all replicas are on this machine and share its state folder.
        isShared: common.production && store.redis !== undefined,
      }),
      /** Of new keys; existing keys keep theirs. */
      algorithm,
      /** The library that signs and verifies; the results are the same with all of them. */
      library: variables.parsed('TOKEN_LIBRARY', 'node-crypto', (name) => libraryNamed(name, [algorithm])),
      tokenLifetimeSeconds: variables.seconds('TOKEN_LIFETIME_SECONDS', TOKEN_LIFETIME_SECONDS, {
        min: 1,
        max: TOKEN_LIFETIME_SECONDS,
      }),
      /** Whether tokens have a status that verifiers read offline. */
      statusList,
      statusListTtlSeconds: variables.seconds('STATUS_LIST_TTL_SECONDS', STATUS_LIST_TTL_SECONDS, {
        min: 1,
        max: MAX_STATUS_LIST_TTL_SECONDS,
      }),
      callers: callersConfig(variables, common),
      rotation: rotationConfig(variables, common),
    }
  })
