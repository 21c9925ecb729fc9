import { join } from 'node:path'
import { MAX_EVENT_BYTES } from '@hallpass/event-stream'
import {
  commonConfig,
  type Environment,
  isLoopback,
  MAX_TIMER_SECONDS,
  readConfig,
  redisConfig,
} from '@hallpass/service-kit'
import { algorithmsIn, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'
import { readPaths } from './paths.ts'

export type { PathRule } from './paths.ts'

const isHttpsOrigin = (text: string) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'https:' && url.href === `${url.origin}/`
}

/** Less than the five-second timeout of the suite's clients, so that they get an error that blames the upstream. */
const UPSTREAM_TIMEOUT_MS = 4_000
/** The token in Zilla's documented test is valid for a day. */
const DAY_SECONDS = 86_400
/** As of the backend: a page opens several streams with one token, and browsers reconnect with it. */
const INTROSPECTION_CACHE_SECONDS = 10
/** More would accept revoked tokens for longer than the re-introspection of open streams takes to notice them. */
const MAX_INTROSPECTION_CACHE_SECONDS = 300
/** A revoked token's stream closes within this time, at the cost of one call per token in this time. */
const INTROSPECTION_RECHECK_SECONDS = 30

export function loadConfig(env: Environment) {
  return readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const { production, host, stateFolder } = common
    const certificates = join(stateFolder, 'certificates')
    const developmentTokens = variables.flag('DEVELOPMENT_TOKENS', !production && isLoopback(host))
    variables.require(
      !developmentTokens || (!production && isLoopback(host)),
      'DEVELOPMENT_TOKENS issues tokens without authentication, so it requires a loopback HOST and is not allowed in production',
    )
    const redis = redisConfig(variables)
    const publicUrl = variables.optionalUrl('PUBLIC_URL')
    variables.require(
      publicUrl === undefined || isHttpsOrigin(publicUrl),
      'PUBLIC_URL must be https without a path, such as https://events.example.com',
    )
    const paths = readPaths(variables, stateFolder, production)
    return {
      ...common,
      /** The origin under which clients reach the gateway; absent: its own port on this machine. */
      publicUrl: publicUrl && new URL(publicUrl).origin,
      port: variables.port('PORT', 7143),
      secondPort: variables.port('SECOND_PORT', 9090),
      certFile: variables.text('CERT_FILE', join(certificates, 'localhost.pem')),
      keyFile: variables.text('KEY_FILE', join(certificates, 'localhost-key.pem')),
      /** How often the certificate is checked for a change; its key must be replaced first. */
      certificatePollMs: 30_000,
      /** Whether the gateway creates its own certificates, as in development mode. */
      ownCertificates: env.CERT_FILE === undefined && env.KEY_FILE === undefined && !production,
      /** Whether the example keys are created, as in development mode, in `exampleKeysFolder`. */
      ownKeys: !production,
      exampleKeysFolder: join(stateFolder, 'sse'),
      /** The page and the shared styles. */
      assetsFolders: variables.list('ASSETS_FOLDERS', ['sse-gateway/public', 'web-ui/public']),
      developmentTokens,
      developmentTokenSeconds: variables.seconds('DEVELOPMENT_TOKEN_SECONDS', 30, {
        min: 1,
        max: DAY_SECONDS,
      }),
      paths,
      tokenAlgorithms: variables.parsed('TOKEN_ALGORITHMS', SIGNATURE_ALGORITHMS.join(), algorithmsIn),
      realm: variables.text('REALM', 'sse-gateway'),
      introspectionCacheMs:
        1_000 *
        variables.seconds('INTROSPECTION_CACHE_SECONDS', INTROSPECTION_CACHE_SECONDS, {
          max: MAX_INTROSPECTION_CACHE_SECONDS,
        }),
      introspectionRecheckMs:
        1_000 *
        variables.seconds('INTROSPECTION_RECHECK_SECONDS', INTROSPECTION_RECHECK_SECONDS, {
          min: 1,
          max: DAY_SECONDS,
        }),
      queryTokens: variables.flag('QUERY_TOKENS', true),
      tokenCookie: variables.text('TOKEN_COOKIE', 'access_token'),
      allowedOrigins: originsOf(variables.list('ALLOWED_ORIGINS', ['*'])),
      adminScope: variables.text('ADMIN_SCOPE', 'stream:revoke'),
      redis,
      /** The folder of the revocations, without Redis. */
      storeFolder: variables.text('STORE_FOLDER', join(stateFolder, 'sse-gateway')),
      challengeWindowMs: 1_000 * variables.seconds('CHALLENGE_WINDOW_SECONDS', 10, { max: DAY_SECONDS }),
      maxStreamAgeMs: 1_000 * variables.seconds('MAX_STREAM_AGE_SECONDS', DAY_SECONDS, { min: 1 }),
      maxTokenLifetimeSeconds: variables.seconds('MAX_TOKEN_LIFETIME_SECONDS', DAY_SECONDS, { min: 1 }),
      /** Clients wait for a random time in this range before they reconnect, so that they do not all return together. */
      retryMs: { min: 1_000, max: 5_000 },
      endOfStream: variables.oneOf('END_OF_STREAM', ['end', 'reset'], 'end'),
      maxStreams: variables.integer('MAX_STREAMS', 20_000, { min: 1 }),
      maxStreamsPerSubject: variables.integer('MAX_STREAMS_PER_SUBJECT', 100, { min: 1 }),
      upstreamCaFile: variables.optionalText('UPSTREAM_CA_FILE'),
      upstreamTimeoutMs: variables.milliseconds('UPSTREAM_TIMEOUT_MS', UPSTREAM_TIMEOUT_MS, { min: 1 }),
      upstreamGraceMs: 1_000 * variables.seconds('UPSTREAM_GRACE_SECONDS', 30, { max: MAX_TIMER_SECONDS }),
      maxEventBytes: variables.integer('MAX_EVENT_BYTES', MAX_EVENT_BYTES, { min: 1 }),
      /** Per path: two minutes at 30 events per second; a client that is more than 16 MiB behind is dropped. */
      ring: {
        maxEvents: variables.integer('RING_EVENTS', 4_000, { min: 8 }),
        maxBytes: variables.integer('RING_BYTES', 16 * 1024 * 1024, { min: 1 }),
      },
      heartbeatMs: 1_000 * variables.seconds('HEARTBEAT_SECONDS', 15, { min: 1, max: MAX_TIMER_SECONDS }),
      /** See `UpstreamTarget.stuckMs`: an event of the maximum size takes 30 s at 280 Kbit/s. */
      stuckMs: 30_000,
      /** See `CatchUpOptions.quietMs`: two seconds are three lost packets in a row. */
      quietMs: 2_000,
      /**
       * See `CatchUpsOptions.times`. A client whose network fails for ten seconds has probably lost its connection. A turn of
       * 20 s is enough for 20 MB at 8 Mbit/s. Clients wait for longer than a turn takes, so the next one gets its turn.
       */
      replays: { stalledMs: 10_000, turnMs: 20_000, waitMs: 30_000 },
    }
  })
}

export type Config = ReturnType<typeof loadConfig>

const originsOf = (origins: readonly string[]): '*' | readonly string[] =>
  origins.includes('*') ? '*' : origins
