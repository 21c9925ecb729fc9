import { MAX_RETRY_MS } from '@hallpass/event-stream'
import { commonConfig, type Environment, isLoopback, readConfig, redisConfig } from '@hallpass/service-kit'
import { algorithmsIn, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'
import { accessRule } from './access/index.ts'
import { RING_LIMITS } from './log/index.ts'

/** Tokens of publishers and readers are meant for minutes; a longer lifetime indicates a misconfigured issuer. */
const MAX_TOKEN_LIFETIME_S = 3_600

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const publishersNeedToken = accessRule(variables, common, 'PUBLISHERS')
    const readersNeedToken = accessRule(variables, common, 'READERS')
    const certFile = variables.optionalText('CERT_FILE')
    const keyFile = variables.optionalText('KEY_FILE')
    variables.require(
      (certFile === undefined) === (keyFile === undefined),
      'CERT_FILE and KEY_FILE must be set together',
    )
    variables.require(
      !common.requiresTls || certFile !== undefined || isLoopback(common.host),
      'CERT_FILE and KEY_FILE are required with NODE_ENV=production, because publishers and readers send tokens; or set MESH to the ' +
        'name of the mesh that encrypts and authenticates its connections',
    )
    const redis = redisConfig(variables)
    const stream = variables.text('REDIS_STREAM', 'hallpass:events')
    return {
      ...common,
      tcpPort: variables.port('TCP_PORT', 7001),
      httpPort: variables.port('HTTP_PORT', 8001),
      /** With these, both ports use TLS; without them, they are for one machine or for a mesh that adds TLS. */
      certFile,
      keyFile,
      /** `stdin` reads objects from standard input and opens no TCP port, as Zilla's example server does in a pipe. */
      input: variables.oneOf('INPUT', ['tcp', 'stdin'], 'tcp'),
      /** Whether the events `clear` and `view` are commands, as in Zilla's example server. */
      controlNames: variables.flag('CONTROL_NAMES', false),
      /** 15 s, as the HTML standard advises (§9.2.7): proxies close connections that are idle for 30 s or more. */
      heartbeatMs: variables.milliseconds('HEARTBEAT_MS', 15_000, { min: 10 }),
      retryMs: variables.milliseconds('RETRY_MS', 2_000, { max: MAX_RETRY_MS }),
      /** Enough for one event of the maximum size to wait, plus the events that arrive while it is sent. */
      maxUnsentBytes: variables.integer('MAX_UNSENT_BYTES', 1024 * 1024, { min: 1 }),
      /** How much is stored for replay; RING_LIMITS explains the defaults. */
      limits: {
        maxEvents: variables.integer('RING_EVENTS', RING_LIMITS.maxEvents, { min: 1 }),
        maxBytes: variables.integer('RING_BYTES', RING_LIMITS.maxBytes, { min: 1 }),
      },
      /** A log shared by several servers; without it, each server has its own log in memory. */
      redis: redis && { ...redis, stream },
      publishersNeedToken,
      readersNeedToken,
      /** Which tokens are accepted, if any are needed. The issuer and the audience have no default. */
      guard:
        !publishersNeedToken && !readersNeedToken
          ? undefined
          : {
              ...variables.issuerWithKeys({ issuer: 'ISSUER', jwksUrl: 'JWKS_URL', jwksFile: 'JWKS_FILE' }),
              audience: variables.text('AUDIENCE'),
              algorithms: variables.parsed('TOKEN_ALGORITHMS', SIGNATURE_ALGORITHMS.join(), algorithmsIn),
              maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_S', MAX_TOKEN_LIFETIME_S, { min: 1 }),
              leewaySeconds: common.clockToleranceSeconds,
            },
    }
  })

export type Config = ReturnType<typeof loadConfig>
