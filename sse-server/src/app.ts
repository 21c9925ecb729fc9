import {
  type Clock,
  type HttpService,
  httpService,
  type Logger,
  Metrics,
  type Service,
  systemClock,
} from '@hallpass/service-kit'
import type { Config } from './config.ts'
import { MemoryEventLog } from './memory-event-log.ts'
import { PublishListener } from './publish-listener.ts'
import { Publisher } from './publisher.ts'
import { publish, requireLoopbackHost } from './routes/publish.ts'
import { preflight, stream } from './routes/stream.ts'
import { StreamHub } from './stream-hub.ts'

/** What is published on TCP or HTTP is streamed over HTTP; `start` reports the URLs `http` and `tcp`. */
export function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
): Service & { http: HttpService } {
  const metrics = new Metrics('sse-server')
  const events = new MemoryEventLog(clock)
  const hub = new StreamHub(events, { ...config, keepView: config.controlNames }, log, metrics)
  const publisher = new Publisher(events, hub, config)
  const tcp = new PublishListener({ host: config.host, port: config.tcpPort, publisher, log })

  const http = httpService({
    name: 'sse-server',
    log,
    metrics,
    listeners: [{ name: 'http', host: config.host, port: config.httpPort }],
    checks: { 'event log': () => events.check() },
    routes(app) {
      app.post('/publish', requireLoopbackHost, publish(publisher))
      app.get('/topics/:topic', stream(hub, events))
      app.get('/{*path}', stream(hub, events))
      app.options('/{*path}', preflight)
    },
  })

  return {
    name: 'sse-server',
    http,
    async start() {
      await events.start()
      hub.start()
      const urls = { tcp: await tcp.start() }
      try {
        return { ...urls, ...(await http.start()) }
      } catch (error) {
        await this.stop()
        throw error
      }
    },
    async stop() {
      // Readiness falls and no connection comes any more; then what is open is ended, publishers first.
      const drained = http.stop()
      await tcp.stop()
      hub.stop()
      await drained
      await events.stop()
    },
  }
}
