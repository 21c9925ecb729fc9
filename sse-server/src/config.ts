import { MAX_RETRY_MS } from '@hallpass/event-stream'
import { commonConfig, type Environment, isLoopback, readConfig } from '@hallpass/service-kit'
import { RING_LIMITS } from './log/index.ts'

/** A publisher's token is made for the next minutes; who holds a longer one has got it wrong. */
const MAX_TOKEN_LIFETIME_S = 3_600

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const publishers = variables.oneOf('PUBLISHERS', ['open', 'token'], common.production ? 'token' : 'open')
    variables.require(
      publishers === 'token' || isLoopback(common.host),
      `PUBLISHERS=open lets anybody publish, so HOST must be a loopback address, but is "${common.host}"`,
    )
    variables.require(
      publishers === 'token' || !common.production,
      'PUBLISHERS=open lets anybody publish, so it is not for production',
    )
    const certFile = variables.optionalText('CERT_FILE')
    const keyFile = variables.optionalText('KEY_FILE')
    variables.require(
      (certFile === undefined) === (keyFile === undefined),
      'CERT_FILE and KEY_FILE go together',
    )
    const redisUrl = variables.optionalText('REDIS_URL')
    variables.require(
      redisUrl === undefined || (URL.canParse(redisUrl) && /^rediss?:$/.test(new URL(redisUrl).protocol)),
      'REDIS_URL must be a redis or rediss URL',
    )
    const stream = variables.text('REDIS_STREAM', 'hallpass:events')
    return {
      ...common,
      tcpPort: variables.port('TCP_PORT', 7001),
      httpPort: variables.port('HTTP_PORT', 8001),
      /** Both ports speak TLS when these are given; without, they are for one machine or for a mesh that adds it. */
      certFile,
      keyFile,
      /** `stdin` reads the objects from standard input and opens no TCP port, as the original does behind a pipe. */
      input: variables.oneOf('INPUT', ['tcp', 'stdin'], 'tcp'),
      /** The original's events named `clear` and `view` mean something. */
      controlNames: variables.flag('CONTROL_NAMES', false),
      /** 15 s, as the HTML standard advises (§9.2.7): proxies cut what is quiet for 30 s or more. */
      heartbeatMs: variables.milliseconds('HEARTBEAT_MS', 15_000, { min: 10 }),
      retryMs: variables.milliseconds('RETRY_MS', 2_000, { max: MAX_RETRY_MS }),
      /** One event of the greatest size may wait, and what comes while it is sent. */
      maxUnsentBytes: variables.integer('MAX_UNSENT_BYTES', 1024 * 1024, { min: 1 }),
      /** What is held for replay; see RING_LIMITS for the reasons. */
      limits: {
        maxEvents: variables.integer('RING_EVENTS', RING_LIMITS.maxEvents, { min: 1 }),
        maxBytes: variables.integer('RING_BYTES', RING_LIMITS.maxBytes, { min: 1 }),
      },
      /** One log for several servers; without it each has its own, in memory. */
      redis: redisUrl === undefined ? undefined : { url: redisUrl, stream },
      /** Whose tokens publish; nothing here has a default. */
      guard:
        publishers === 'open'
          ? undefined
          : {
              issuer: variables.text('ISSUER'),
              audience: variables.text('AUDIENCE'),
              jwksFile: variables.optionalText('JWKS_FILE'),
              jwksUrl: variables.optionalUrl('JWKS_URL'),
              maxLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_S', MAX_TOKEN_LIFETIME_S, { min: 1 }),
            },
    }
  })

export type Config = ReturnType<typeof loadConfig>
