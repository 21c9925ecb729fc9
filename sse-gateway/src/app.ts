import { ensureDevelopmentCertificates, followFiles, readTlsFiles } from '@hallpass/certificates'
import { ChallengeSpread, TimerWheel } from '@hallpass/guarded-stream'
import {
  type Clock,
  Drain,
  foreignPagesGuard,
  type Logger,
  listenForMetrics,
  Metrics,
  Probes,
  type Service,
  systemClock,
  UnusableKeys,
} from '@hallpass/service-kit'
import { storeFor } from '@hallpass/token-store'
import {
  Authorizers,
  ProtectedResources,
  Revocations,
  SharedRevocations,
  Tickets,
} from './admission/index.ts'
import { ensureExampleKeys } from './client/index.ts'
import type { Config, PathRule } from './config/index.ts'
import { dispatcher, type Exchange, Listener, type RouteTable, StaticFiles } from './http/index.ts'
import { GatewayPeers } from './peers/index.ts'
import { issueDevelopmentToken } from './routes/issue-development-token.ts'
import { issueTicket } from './routes/issue-ticket.ts'
import { listStreams } from './routes/list-streams.ts'
import { publish } from './routes/publish.ts'
import { reauthorize } from './routes/reauthorize.ts'
import { revoke } from './routes/revoke.ts'
import { streamEvents } from './routes/stream-events.ts'
import { Reintrospection, StreamMetrics, StreamRegistry, WithdrawnKeys } from './streams/index.ts'
import { PathEvents, Publisher, UpstreamCredentials } from './upstream/index.ts'

export { loadConfig } from './config/index.ts'

/** Clients that read receive their last event immediately; after this time, the remaining connections are closed. */
const DRAIN_DEADLINE_MS = 2_500

/** Creates the gateway, whose streams close exactly when their token expires. */
export function createApp(config: Config, log: Logger, clock: Clock = systemClock): Service {
  const { allowedOrigins: origins } = config
  const metrics = new Metrics('sse-gateway')
  const wheel = new TimerWheel(clock)
  const spread = new ChallengeSpread()
  const revocations = new Revocations({ clock })
  const store = storeFor(config, {
    clock,
    prefix: 'hallpass:sse-gateway',
    onNotice: (notice) => log.warn(notice),
    remedy:
      'Restore it from a backup. Without one, delete it: revoked tokens are then accepted until they expire.',
  })
  const sharedRevocations = new SharedRevocations({ store, revocations, log })
  const peers =
    config.redis === undefined
      ? undefined
      : new GatewayPeers({
          ...config.redis,
          log,
          clock,
          reauthorize: (handle, path, grant) =>
            revocations.cover(grant) ? { outcome: 'unknown' } : streams.extendNamed(handle, path, grant),
          onPassedOn: (grant) => reintrospection.passedOn(grant),
        })
  const streams = new StreamRegistry(peers?.node)
  const events = new Map<string, PathEvents>()
  const upstreamCredentials: UpstreamCredentials[] = []
  const tickets = new Tickets({
    ...config,
    clock,
    zone: store.zone('tickets'),
    onPassedOn: (grant) => reintrospection.passedOn(grant),
  })
  const streamMetrics = new StreamMetrics(metrics, streams, events)
  let publicUrl = config.publicUrl
  const resources = new ProtectedResources({
    ...config,
    origins,
    publicUrl: () => publicUrl ?? `https://localhost:${config.port}`,
  })
  const listeners: Listener[] = []
  const draining = new Drain<Exchange>((exchange) => exchange.askToLeave())
  const unusable = new UnusableKeys(log)
  const authorizers = new Authorizers({
    config,
    resources,
    revocations: sharedRevocations,
    unusable,
    clock,
  })
  const withdrawnKeys = new WithdrawnKeys({
    streams,
    wheel,
    clock,
    withdrawnAt: async (path, grant) => authorizers.ofStreams(path).authorizer.withdrawnAt(grant),
  })
  const reintrospection = new Reintrospection({
    streams,
    wheel,
    clock,
    log,
    intervalMs: config.introspectionRecheckMs,
    cacheMs: config.introspectionCacheMs,
    maxPassedOn: config.maxStreams,
    revoke: (revocation) => sharedRevocations.revoke(revocation),
  })
  const checks: Record<string, () => void> = {
    revocations: () => sharedRevocations.check(),
    ...(peers && { redis: () => peers.check() }),
  }
  const probes = new Probes(metrics, { ...config, checks, warnings: unusable.warnings })
  let stopping: Promise<void> | undefined

  revocations.onRevoked((revocation) => streams.endRevoked(revocation))

  async function routes(): Promise<RouteTable> {
    const files = await StaticFiles.load(config.assetsFolders)
    const file = (exchange: Exchange) => files.answer(exchange)
    const paths = Object.entries(config.paths)
    const [, anyRule] = paths[0] as [string, PathRule]
    return {
      '/streams': {
        GET: listStreams({
          ...authorizers.ofAllPaths('/streams', { scopes: [config.adminScope], expiry: 'required' }),
          administersAll: (issuer) => authorizers.administersAll(issuer),
          streams,
          clock,
        }),
      },
      '/revocations': {
        POST: revoke({
          ...authorizers.ofAllPaths('/revocations', { scopes: [] }),
          adminScope: config.adminScope,
          administersAll: (issuer) => authorizers.administersAll(issuer),
          keepMs: (issuer) => authorizers.revocationKeepMs(issuer),
          toleranceMs: config.clockToleranceSeconds * 1_000,
          origins,
          clock,
          revoke: (revocation) => sharedRevocations.revoke(revocation),
        }),
      },
      '/tickets': { POST: issueTicket({ paths: authorizers.streams, origins, tickets, clock }) },
      ...(config.developmentTokens ? { '/token': { POST: await developmentTokens(anyRule) } } : {}),
      ...Object.fromEntries(files.paths.map((path) => [path, { GET: file, HEAD: file }])),
      ...Object.fromEntries(
        (await Promise.all(paths.map(([path, rule]) => routesOfPath(path, rule)))).flat(),
      ),
      // Last: it has the resources of the routes above.
      ...resources.routes(),
    }
  }

  async function routesOfPath(path: string, rule: PathRule) {
    const credentials = await UpstreamCredentials.load(
      { caFile: config.upstreamCaFile, ...rule.upstream },
      { path, log, clock, timeoutMs: config.upstreamTimeoutMs, pollMs: config.certificatePollMs },
    )
    upstreamCredentials.push(credentials)
    return [[path, streamRoutes(path, rule, credentials)] as const, ...publishRoutes(path, rule, credentials)]
  }

  function streamRoutes(path: string, rule: PathRule, credentials: UpstreamCredentials) {
    const pathEvents = new PathEvents({
      path,
      target: {
        url: rule.upstream.url,
        credentials,
        timeoutMs: config.upstreamTimeoutMs,
        maxEventBytes: config.maxEventBytes,
        stuckMs: config.stuckMs,
      },
      log,
      ring: config.ring,
      graceMs: config.upstreamGraceMs,
      heartbeatMs: config.heartbeatMs,
      quietMs: config.quietMs,
      replays: config.replays,
      hasTopics: rule.topics !== undefined,
    })
    events.set(path, pathEvents)
    checks[`upstream of ${path}`] = () => pathEvents.upstream.check()
    const common = { path, ...authorizers.ofStreams(path), origins, streams, metrics: streamMetrics }
    return {
      GET: streamEvents({
        ...common,
        tickets,
        events: pathEvents,
        wheel,
        spread,
        clock,
        log,
        limits: config,
        maxStreams: config.maxStreams,
        maxStreamsPerSubject: config.maxStreamsPerSubject,
      }),
      POST: reauthorize({ ...common, askPeer: peers && ((...ask) => peers.reauthorize(...ask)) }),
    }
  }

  function publishRoutes(path: string, rule: PathRule, credentials: UpstreamCredentials) {
    const target = rule.publish
    if (!target) return []
    const { topics, ...admission } = authorizers.ofPublishing(target.path, rule)
    // The configuration has no publishing without topics.
    if (!topics) return []
    const publisher = new Publisher({ url: target.url, credentials, timeoutMs: config.upstreamTimeoutMs })
    const common = { ...admission, path, topics, origins, publisher, metrics: streamMetrics }
    return [[target.path, { POST: publish(common) }] as const]
  }

  async function developmentTokens(rule: PathRule) {
    const { es256 } = await ensureExampleKeys(config.exampleKeysFolder)
    const { issuer, audience } = rule.issuers[0] as PathRule['issuers'][0]
    return issueDevelopmentToken({
      key: es256,
      claims: { iss: issuer, aud: audience, sub: 'example', scope: rule.scopes.join(' ') },
      lifetimeSeconds: config.developmentTokenSeconds,
      challengeWindowMs: config.challengeWindowMs,
      clock,
    })
  }

  const readTls = () => readTlsFiles(config)

  let stopFollowing: (() => void) | undefined

  async function start() {
    if (config.ownKeys) await ensureExampleKeys(config.exampleKeysFolder)
    if (config.ownCertificates) await ensureDevelopmentCertificates(config.stateFolder)
    await Promise.all([sharedRevocations.start(), peers?.start()])
    const handle = dispatcher({
      routes: await routes(),
      probes,
      origins,
      refuseForeign: foreignPagesGuard(config.host, config),
      service: { name: 'sse-gateway', log, metrics },
    })
    const tls = await readTls()
    const urls: Record<string, string> = { ...(await listenForMetrics(config, probes, draining)) }
    for (const [name, port] of Object.entries({ https: config.port, second: config.secondPort })) {
      const listener = new Listener(tls, draining, handle)
      listeners.push(listener)
      urls[name] = `https://localhost:${await listener.start(port, config.host)}`
    }
    // A port of 0 is known only now.
    publicUrl ??= urls.https
    stopFollowing = followFiles({
      what: 'certificate',
      files: [config.certFile, config.keyFile],
      read: readTls,
      use: (renewed) => {
        for (const listener of listeners) listener.useCertificate(renewed)
      },
      log,
      pollMs: config.certificatePollMs,
    })
    withdrawnKeys.start()
    if (authorizers.introspect) reintrospection.start()
    probes.ready()
    return urls
  }

  async function drain(delayMs: number | undefined) {
    probes.stopping()
    stopFollowing?.()
    withdrawnKeys.stop()
    reintrospection.stop()
    await draining.run({
      delayMs,
      deadlineMs: DRAIN_DEADLINE_MS,
      // Streams close only when the listeners are closed: clients reconnect immediately and must reach another gateway.
      onClosing: () => streams.endAll('shutting_down'),
    })
    for (const pathEvents of events.values()) pathEvents.stop()
    for (const credentials of upstreamCredentials) credentials.stop()
    peers?.stop()
    await sharedRevocations.stop()
    wheel.finish()
  }

  return {
    name: 'sse-gateway',
    async start() {
      try {
        return await start()
      } catch (error) {
        await this.stop()
        throw error
      }
    },
    stop(drainDelayMs) {
      stopping ??= drain(drainDelayMs)
      return stopping
    },
  }
}
