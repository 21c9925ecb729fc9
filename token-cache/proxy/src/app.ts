import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { createJwtFactoryClient } from '@hallpass/jwt-factory/client'
import { Assets } from '@hallpass/pages'
import { Upstream } from '@hallpass/reverse-proxy'
import {
  type Clock,
  type HttpService,
  httpService,
  issuerKeys,
  type Logger,
  Metrics,
  systemClock,
  UnusableKeys,
} from '@hallpass/service-kit'
import { TierTrust } from '@hallpass/tier-trust'
import { createAuthClient } from '@hallpass/token-cache-auth/client'
import { type SharedStore, storeFor } from '@hallpass/token-store'
import { anySubject, cachedVerifier, remoteKeys, verifyToken } from '@hallpass/tokens'
import { Blocks, reportFigures, TokenCache } from './cache/index.ts'
import type { Config } from './config.ts'
import { byBearer, byRemoteUser, headerValue, type Identify, KeyMaker } from './identity/index.ts'
import { KeyValues, Peers, requireOperator } from './operators/index.ts'
import { keyvals } from './routes/keyvals.ts'
import { showDashboard } from './routes/show-dashboard.ts'
import { showStatus } from './routes/show-status.ts'
import { showUser } from './routes/show-user.ts'
import { serveRequests } from './traffic/index.ts'

export { loadConfig } from './config.ts'

/** How much longer a lease lasts than the longest call to the issuer. */
const LEASE_SLACK_MS = 500

/** Creates a proxy that adds a token to each request, and shares its tokens with the other proxies through the store. */
export async function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
  makeStore: typeof openStore = openStore,
): Promise<HttpService> {
  const name = 'token-cache-proxy'
  const metrics = new Metrics(name)
  const trust = new TierTrust(config.trust)
  const { fields, tls } = await trust.load()
  const store = makeStore(config, clock, (notice) => log.warn({ store: store.kind }, notice))
  const zone = store.zone('tokens')
  const users = store.zone('users')
  const keys = new KeyMaker(config)
  const onProblem = (err: unknown, what: string) => log.warn({ err }, what)
  const blocks = new Blocks({ zone: store.zone('blocks', { pinned: true }), keys, clock, onProblem })
  const factory = createJwtFactoryClient({ baseUrl: config.jwtFactoryUrl })
  const unusable = new UnusableKeys(log)
  const keysOfIssuer = remoteKeys({
    issuer: config.issuer,
    load: () => factory.jwks(),
    loadKey: (kid) => factory.jwksWith(kid),
    onUnusable: unusable.of(config.issuer),
    clock,
  })
  const auth = createAuthClient({
    baseUrl: config.authUrl,
    fields,
    timeoutMs: config.issuerTimeoutMs,
    ...(tls ? { tls } : {}),
  })
  const api = new Upstream({
    name: 'token-cache-api',
    url: config.apiUrl,
    maxConnections: config.apiConnections,
    ...(tls ? { tls: { ca: tls.ca } } : {}),
  })

  const cache = new TokenCache({
    zone,
    users,
    blocks,
    keys,
    clock,
    maxAgeMs: config.maxAgeMs,
    marginMs: config.marginMs,
    maxLifetimeMs: 1000 * config.maxLifetimeSeconds,
    maxCopies: config.maxCopies,
    tokensPerUser: config.tokensPerUser,
    leaseMs: config.issuerTimeoutMs + LEASE_SLACK_MS,
    waitMs: 2 * (config.issuerTimeoutMs + LEASE_SLACK_MS),
    issue: ({ user, fields }, asker) =>
      auth.tokenFor(user, {
        userAgent: headerValue(fields[config.identityFields.indexOf('user-agent')] ?? ''),
        requestId: asker.requestId,
        trace: asker.trace,
      }),
    verify: (token, user) =>
      verifyToken(token, {
        issuer: config.issuer,
        audience: config.audience,
        subject: user,
        keys: keysOfIssuer,
        maxLifetimeSeconds: config.maxLifetimeSeconds,
        leewaySeconds: config.clockToleranceSeconds,
        clock,
      }),
    onProblem,
  })
  reportFigures(metrics, cache, blocks, store)

  const startedAt = clock()
  const peers = new Peers(
    store.zone('peers'),
    () => ({
      name: config.name,
      startedAt,
      copies: cache.copies,
      blocks: { count: blocks.count, fingerprint: blocks.fingerprint },
      figures: cache.figures,
    }),
    clock,
  )
  const tokens = new KeyValues({
    zone,
    users,
    blocks,
    keys,
    fieldCount: config.identity === 'bearer' ? 2 : config.identityFields.length,
    blockMs: config.maxAgeMs,
    clock,
  })
  const operator = requireOperator(config.adminTokenFile, config.allowedHosts)
  const assets = { own: new Assets(config.assetsFolder), house: new Assets(config.houseFolder) }

  const secure = config.trust.kind === 'certificate'
  /** With certificates, the API and operators have separate ports; otherwise requests from the balancer are for the API. */
  const isForApi = (request: IncomingMessage) =>
    secure ? isEncrypted(request) : !isForOperators(request.url) || trust.isFromTier(request)
  const { serve, upgrade } = serveRequests({
    log,
    api,
    identify: identifier(config, trust, keys, clock, unusable),
    cache,
    blocks,
    clock,
  })
  await store.open()
  await blocks.start()
  peers.start()

  return httpService({
    name,
    log,
    config,
    metrics,
    listeners: secure
      ? [
          { name: 'https', host: config.host, port: config.port, ...trust.listener(log) },
          { name: 'operators', host: config.operatorHost, port: config.operatorPort },
        ]
      : [{ name: 'http', host: config.host, port: config.port }],
    // No limit: bodies are streamed, and the balancer and the API limit their duration.
    requestTimeoutMs: 0,
    forward: (request, response, next) => (isForApi(request) ? serve(request, response, next) : next()),
    onUpgrade: (request, socket, head) =>
      !secure || isEncrypted(request) ? upgrade(request, socket, head) : void socket.destroy(),
    routes: (app) => {
      app.use('/api', operator, keyvals(tokens))
      app.get('/status', operator, showStatus({ config, store, zone, peers, clock }))
      app.get('/status/users/:user', operator, showUser(tokens, config))
      app.get(['/dashboard.html', '/dashboard'], operator, showDashboard(assets))
      for (const { mountedAt, routes } of Object.values(assets)) app.use(mountedAt, routes)
    },
    checks: { store: () => store.check(), blocks: () => blocks.check() },
    warnings: unusable.warnings,
    onStop: async () => {
      await peers.stop()
      blocks.stop()
      await api.close()
      await store.close()
    },
  })
}

const isEncrypted = ({ socket }: IncomingMessage) => (socket as TLSSocket).encrypted === true

const isForOperators = (path = '/') => /^\/(api|status|dashboard|assets)(?=[/?.]|$)/.test(path)

const openStore = (config: Config, clock: Clock, onNotice: (notice: string) => void): SharedStore =>
  storeFor(config.store, {
    clock,
    onNotice,
    remedy: `Delete ${config.store.storeFolder} and start again: tokens are cached again automatically; set blocks again.`,
  })

function identifier(
  config: Config,
  trust: TierTrust,
  keys: KeyMaker,
  clock: Clock,
  unusable: UnusableKeys,
): Identify {
  if (config.identity === 'remote-user') return byRemoteUser(trust, keys, config.identityFields)
  const verify = cachedVerifier({
    issuer: config.callerIssuer,
    audience: config.callerAudience,
    subject: anySubject,
    keys: remoteKeys({
      issuer: config.callerIssuer,
      ...issuerKeys({ issuer: config.callerIssuer, jwksUrl: config.callerJwksUrl, unusable }),
      algorithms: config.callerAlgorithms,
      clock,
    }),
    algorithms: config.callerAlgorithms,
    tokenUse: config.callerTokenUse,
    maxLifetimeSeconds: config.maxLifetimeSeconds,
    leewaySeconds: config.clockToleranceSeconds,
    clock,
  })
  return byBearer(verify, keys)
}
