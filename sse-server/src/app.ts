import type { Readable } from 'node:stream'
import { tlsListener } from '@hallpass/certificates'
import {
  type Clock,
  httpService,
  type Logger,
  Metrics,
  requireBearer,
  type Service,
  systemClock,
  UnusableKeys,
} from '@hallpass/service-kit'
import { PUBLISH_SCOPE, SUBSCRIBE_SCOPE, tokenGuard } from './access/index.ts'
import type { Config } from './config.ts'
import { MemoryEventLog, RedisEventLog } from './log/index.ts'
import { Publisher, PublishListener, PublishSession, publishObjects } from './publishing/index.ts'
import { publish } from './routes/publish.ts'
import { preflight, stream } from './routes/stream.ts'
import { StreamHub } from './streaming/index.ts'

export { loadConfig } from './config.ts'

/** In `WWW-Authenticate`. */
const REALM = 'sse-server'

/** Creates the SSE server, which streams over HTTP what is published over TCP or HTTP. `start` returns the URLs `http` and `tcp`. */
export function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
  standardInput: () => Readable = () => process.stdin,
): Service {
  const metrics = new Metrics('sse-server')
  const { redis, limits } = config
  const events = redis ? new RedisEventLog({ ...redis, limits, log }) : new MemoryEventLog(clock, limits)
  const hub = new StreamHub(events, { ...config, keepView: config.controlNames, clock }, log, metrics)
  const publisher = new Publisher(events, hub, config)
  const unusable = new UnusableKeys(log)
  const guard = config.guard && tokenGuard(config.guard, clock, unusable)
  const { certFile, keyFile } = config
  const tls =
    certFile && keyFile
      ? tlsListener({ stateFolder: config.stateFolder, tls: { certFile, keyFile, selfMade: false } }, log)
      : undefined

  const tcp = new PublishListener({
    host: config.host,
    port: config.tcpPort,
    openSession: () => new PublishSession(publisher, config.publishersNeedToken ? guard : undefined, clock),
    log,
    tls,
  })
  const http = httpService({
    name: 'sse-server',
    log,
    config,
    metrics,
    listeners: [{ name: 'http', host: config.host, port: config.httpPort, ...tls }],
    checks: { 'event log': () => events.check() },
    warnings: unusable.warnings,
    routes(app) {
      // Without a token, httpService itself accepts in development only requests from this machine and from no other origin.
      const withToken = (needed: boolean, scope: string) =>
        guard && needed ? [requireBearer({ realm: REALM, verify: guard, scopes: [scope] })] : []
      const mayPublish = withToken(config.publishersNeedToken, PUBLISH_SCOPE)
      const streams = [
        ...withToken(config.readersNeedToken, SUBSCRIBE_SCOPE),
        stream({ hub, log: events, clock, realm: REALM }),
      ]
      app.post('/publish', ...mayPublish, publish(publisher))
      app.get('/topics/:topic', ...streams)
      app.get('/{*path}', ...streams)
      app.options('/{*path}', preflight)
    },
    onDrain: async () => {
      // Stops reading first, so that everything that was read is still streamed.
      await tcp.stop()
      hub.stop()
    },
  })

  /** Publishes standard input, without a token: it belongs to the user who started the process. */
  function readStandardInput() {
    publishObjects(standardInput(), {
      take: (object) => publisher.publish(object),
      refused: ({ code, message }) => {
        log.warn({ code }, message)
        return true
      },
    }).catch((error: unknown) => log.error({ err: error }, 'cannot read standard input'))
  }

  return {
    name: 'sse-server',
    async start() {
      await events.start()
      hub.start()
      try {
        const urls = config.input === 'tcp' ? { tcp: await tcp.start() } : {}
        if (config.input === 'stdin') readStandardInput()
        return { ...urls, ...(await http.start()) }
      } catch (error) {
        await this.stop()
        throw error
      }
    },
    async stop(drainDelayMs) {
      await http.stop(drainDelayMs)
      await events.stop()
    },
  }
}
