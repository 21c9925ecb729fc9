import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { MAX_EVENT_BYTES } from '@hallpass/event-stream'
import {
  commonConfig,
  type Environment,
  isLoopback,
  MAX_TIMER_SECONDS,
  readConfig,
  redisConfig,
  type VariableReader,
} from '@hallpass/service-kit'
import { accessTokenUse, algorithmsIn, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'
import { parse } from 'yaml'
import * as z from 'zod'

const isPath = (text: string) => /^\/[\w./~-]*$/.test(text)
const isHttpsOrigin = (text: string) => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'https:' && url.href === `${url.origin}/`
}
const httpUrl = z.url({ protocol: /^https?$/ })

/** By default an access token must tell that it is one: ID tokens of some issuers have the roles, too. */
const TOKEN_USE = 'scoped'

const tokenUse = z.string().transform((text, context) => {
  try {
    return accessTokenUse(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
    return z.NEVER
  }
})

const issuerFile = z
  .strictObject({
    issuer: z.string().min(1),
    audience: z.string().min(1),
    /** A JWKS file, relative to this configuration file; reloaded when it changes. */
    jwksFile: z.string().min(1).optional(),
    jwksUrl: httpUrl.optional(),
    /** What tells an access token from an ID token of this issuer. */
    tokenUse: tokenUse.default(TOKEN_USE),
    /** Whose tokens and streams the administrators of this issuer revoke and list. */
    administers: z.enum(['own', 'all']).default('own'),
  })
  .refine((rule) => (rule.jwksFile === undefined) !== (rule.jwksUrl === undefined), {
    error: 'needs either jwksFile or jwksUrl',
  })

const pathFile = z.strictObject({
  upstream: httpUrl,
  issuers: z.array(issuerFile).min(1),
  scopes: z.array(z.string().min(1)).min(1),
  rolesClaim: z.string().min(1).default('scope'),
  expiry: z.enum(['required', 'optional']).default('required'),
  issuedAt: z.enum(['required', 'optional']).default('optional'),
  subject: z.enum(['required', 'optional']).default('optional'),
})

const configFile = z.strictObject({
  paths: z.record(z.string(), pathFile).check(({ value, issues }) => {
    for (const path of Object.keys(value))
      if (!isPath(path))
        issues.push({ code: 'custom', input: value, path: [path], message: 'must be a path such as /events' })
  }),
})

export type PathRule = z.infer<typeof pathFile>

/** Less than the five-second timeout of the suite's clients, so that they get an error that blames the upstream. */
const UPSTREAM_TIMEOUT_MS = 4_000
/** The token in Zilla's documented test is valid for a day. */
const DAY_SECONDS = 86_400

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
    const file = variables.optionalText('GATEWAY_CONFIG')
    const paths =
      file === undefined
        ? { ...onePath(variables, stateFolder, production), ...hopsPath(variables) }
        : pathsOf(variables, file)
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

/** Returns the documented path, configured by environment variables. */
function onePath(
  variables: VariableReader,
  stateFolder: string,
  production: boolean,
): Record<string, PathRule> {
  const path = variables.text('EVENTS_PATH', '/events')
  variables.require(isPath(path), 'EVENTS_PATH must be a path such as /events')
  const jwksUrl = variables.optionalUrl('JWKS_URL')
  const jwksFile = variables.optionalText('JWKS_FILE')
  variables.require(
    jwksUrl === undefined || jwksFile === undefined,
    'JWKS_URL and JWKS_FILE must not both be set',
  )
  variables.require(
    !production || jwksUrl !== undefined || jwksFile !== undefined,
    'JWKS_URL or JWKS_FILE is required in production: the example keys are only for development',
  )
  const issuer = variables.text('ISSUER', 'https://auth.example.com')
  const keys =
    jwksUrl === undefined ? { jwksFile: jwksFile ?? join(stateFolder, 'sse/jwks.json') } : { jwksUrl }
  variables.requireKeySource({ issuer: 'ISSUER', jwksUrl: 'JWKS_URL' }, { issuer, ...keys })
  const rolesClaim = variables.text('ROLES_CLAIM', 'scope')
  // Roles in another claim may have spaces.
  const scopes = variables[rolesClaim === 'scope' ? 'scopes' : 'list']('SCOPES', ['proxy:stream'])
  variables.require(scopes.length > 0, 'SCOPES must name at least one scope')
  return {
    [path]: {
      upstream: variables.trustedUrl('UPSTREAM_URL', `http://localhost:8001${path}`),
      issuers: [
        {
          issuer,
          audience: variables.text('AUDIENCE', 'https://api.example.com'),
          tokenUse: variables.parsed('TOKEN_USE', TOKEN_USE, accessTokenUse),
          administers: 'own',
          ...keys,
        },
      ],
      scopes,
      rolesClaim,
      expiry: variables.oneOf('EXPIRY', ['required', 'optional'], 'required'),
      issuedAt: variables.oneOf('ISSUED_AT', ['required', 'optional'], 'optional'),
      subject: variables.oneOf('SUBJECT', ['required', 'optional'], 'optional'),
    },
  }
}

/** Returns the path of the suite's hops, for the explorer; the web UI signs the tokens of its viewers. */
function hopsPath(variables: VariableReader): Record<string, PathRule> {
  const upstream = variables.optionalTrustedUrl('HOPS_UPSTREAM_URL')
  const issuer = variables.optionalUrl('HOPS_ISSUER')
  variables.require(
    (upstream === undefined) === (issuer === undefined),
    'HOPS_UPSTREAM_URL and HOPS_ISSUER must be set together',
  )
  if (upstream === undefined || issuer === undefined) return {}
  variables.requireKeySource({ issuer: 'HOPS_ISSUER' }, { issuer })
  return {
    '/hops': {
      upstream,
      issuers: [
        {
          issuer,
          audience: 'https://api.example.com',
          tokenUse: TOKEN_USE,
          // The page of the web UI shows the streams of all paths to its administrators, and closes them.
          administers: 'all',
          jwksUrl: `${issuer}/.well-known/jwks.json`,
        },
      ],
      scopes: ['hops:read'],
      rolesClaim: 'scope',
      expiry: 'required',
      issuedAt: 'required',
      subject: 'required',
    },
  }
}

/** Returns the paths of a file. Its problems are reported together with those of the environment. */
function pathsOf(variables: VariableReader, file: string): Record<string, PathRule> {
  let content: unknown
  try {
    content = parse(readFileSync(file, 'utf8'))
  } catch (error) {
    variables.problems.push(`GATEWAY_CONFIG ${file}: ${(error as Error).message}`)
    return {}
  }
  const result = configFile.safeParse(content)
  if (!result.success) {
    for (const { path, message } of result.error.issues)
      variables.problems.push(`GATEWAY_CONFIG ${path.join('.') || file}: ${message}`)
    return {}
  }
  const { paths } = result.data
  variables.require(Object.keys(paths).length > 0, 'GATEWAY_CONFIG must contain at least one path')
  for (const [path, { upstream, issuers }] of Object.entries(paths)) {
    variables.requireTrusted(`GATEWAY_CONFIG paths.${path}.upstream`, upstream)
    for (const [index, rule] of issuers.entries()) {
      const where = `GATEWAY_CONFIG paths.${path}.issuers.${index}`
      variables.requireKeySource({ issuer: `${where}.issuer`, jwksUrl: `${where}.jwksUrl` }, rule)
    }
  }
  const atFile = (name: string) => resolve(dirname(file), name)
  return Object.fromEntries(
    Object.entries(paths).map(([path, rule]) => [
      path,
      {
        ...rule,
        issuers: rule.issuers.map((issuer) =>
          issuer.jwksFile === undefined ? issuer : { ...issuer, jwksFile: atFile(issuer.jwksFile) },
        ),
      },
    ]),
  )
}

const originsOf = (origins: readonly string[]): '*' | readonly string[] =>
  origins.includes('*') ? '*' : origins
