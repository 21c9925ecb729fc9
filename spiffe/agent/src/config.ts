import { join, resolve } from 'node:path'
import { commonConfig, type Environment, isLoopback, readConfig } from '@hallpass/service-kit'
import { explainLongSocketPath } from '@hallpass/spiffe/address'
import { JWT_ALGORITHMS } from './authorities/index.ts'
import { agentAdminSocket, workloadSocketFolder } from './client.ts'

const HOUR = 3600
/** The workload with the longest name, so with the longest socket path. */
const LONGEST_NAME = 'service-a'
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const folder = join(common.stateFolder, 'spiffe')
    const certificates = join(common.stateFolder, 'certificates')
    const trustDomain = variables.text('TRUST_DOMAIN', 'example.org')
    variables.require(TRUST_DOMAIN.test(trustDomain), 'TRUST_DOMAIN must be a name like example.org')
    const port = variables.port('PORT', 8446)
    const attestation = variables.oneOf('ATTESTATION', ['socket', 'peercred', 'insecure-any'], 'socket')
    const insecureAnyIds = variables.list('INSECURE_ANY_IDS', [])
    if (attestation === 'insecure-any') {
      variables.require(
        !common.production && isLoopback(common.host),
        'ATTESTATION=insecure-any gives identities to anyone, so it is allowed only in development mode on a loopback address',
      )
      variables.require(
        insecureAnyIds.length > 0,
        'INSECURE_ANY_IDS must list the SPIFFE IDs that anyone gets',
      )
    }
    const socketFolder = variables.text('SOCKET_FOLDER', workloadSocketFolder(common.stateFolder))
    const adminSocket = variables.text('ADMIN_SOCKET', agentAdminSocket(common.stateFolder))
    // Absolute, because workloads run in other folders.
    const sockets = [join(socketFolder, LONGEST_NAME, 'agent.sock'), adminSocket].map((path) => resolve(path))
    const [tooLong] = sockets.flatMap((path) => explainLongSocketPath(path) ?? [])
    variables.require(
      tooLong === undefined,
      `a unix socket's ${tooLong}. Set SOCKET_FOLDER and ADMIN_SOCKET, or STATE_FOLDER, to shorter paths, e.g. STATE_FOLDER=/tmp/hallpass`,
    )
    return {
      ...common,
      /** Keys, entries and sockets. */
      folder,
      trustDomain,
      attestation,
      insecureAnyIds,
      entriesFile: variables.text('ENTRIES_FILE', join(folder, 'entries.yaml')),
      /** Contains a folder with a socket for each workload with a `socket:` selector. */
      socketFolder,
      /** For `peercred` and `insecure-any`; the fixed path of go-spiffe's programs. */
      sharedSocket: variables.text('SHARED_SOCKET', '/tmp/agent.sock'),
      adminSocket,
      /** OpenID discovery, health and metrics. */
      port,
      /** `iss` of JWT-SVIDs, and the base URL at which OpenID verifiers look for the keys. */
      jwtIssuer: variables.trustedUrl('JWT_ISSUER', `http://localhost:${port}`),
      jwtAlgorithm: variables.oneOf('JWT_ALGORITHM', JWT_ALGORITHMS, 'ES256'),
      /** `use` of the keys on `/keys`; some verifiers require that it is absent. */
      jwkUse: variables.oneOf('JWK_USE', ['sig', 'none'], 'sig'),
      bundleEndpointProfile: variables.oneOf(
        'BUNDLE_ENDPOINT_PROFILE',
        ['https_spiffe', 'https_web', 'off'],
        'https_spiffe',
      ),
      bundleEndpointPort: variables.port('BUNDLE_ENDPOINT_PORT', 8447),
      /** The refresh hint for other agents; five minutes is well within the overlap of a scheduled rotation. */
      bundleRefreshSeconds: variables.seconds('BUNDLE_REFRESH_SECONDS', 300, { min: 1, max: HOUR }),
      /** `https_web`: the certificate of our bundle endpoint, and the CA certificates that verify others. */
      certFile: variables.text('CERT_FILE', join(certificates, 'localhost.pem')),
      keyFile: variables.text('KEY_FILE', join(certificates, 'localhost-key.pem')),
      caFile: variables.text('CA_FILE', join(certificates, 'ca.pem')),
      x509TtlSeconds: variables.seconds('X509_TTL_SECONDS', HOUR, { min: 2, max: 7 * 24 * HOUR }),
      jwtTtlSeconds: variables.seconds('JWT_TTL_SECONDS', 300, { min: 2, max: 24 * HOUR }),
      caTtlSeconds: variables.seconds('CA_TTL_SECONDS', 24 * HOUR, { min: 10 }),
      /** How long a new authority is published before it signs, when a rotation is requested. */
      rotationOverlapSeconds: variables.seconds('ROTATION_OVERLAP_SECONDS', 5, { min: 1, max: HOUR }),
    }
  })

export type Config = ReturnType<typeof loadConfig>
