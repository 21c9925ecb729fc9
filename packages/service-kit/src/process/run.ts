import { checkStateVersion } from '@hallpass/private-files'
import { cappedMs } from '@hallpass/untrusted/timers'
import { createLog, type Logger, publishHopsTo, streamHops } from '../observation/index.ts'
import type { CommonConfig, Environment } from './config.ts'
import { describeStartFailure } from './describe-start-failure.ts'
import type { Service } from './service.ts'

/** The limit for stopping after the drain delay, so that the whole suite stops within five seconds. */
export const STOP_DEADLINE_MS = 4_000

/** Builds a complete service: everything it needs has been loaded, and it is ready to listen. */
export type CreateApp<C> = (config: C, log: Logger) => Service | Promise<Service>

/**
 * Runs a service as a process: reads the configuration, starts, and stops cleanly on SIGTERM, on SIGINT or when the
 * launcher exits. Exits with one of {@link EXIT_CODES}; a failed start is explained in a line on standard error.
 */
export function run<C extends CommonConfig>(
  name: string,
  env: Environment,
  loadConfig: (env: Environment) => C,
  createApp: CreateApp<C>,
): void {
  let config: C | undefined
  const start = async () => {
    config = loadConfig(env)
    await live(name, config, createApp)
  }
  start().catch((error: unknown) => {
    const { message, exitCode } = describeStartFailure(error, config)
    // After the log lines of this turn, so that the reason is the last line.
    setImmediate(() => {
      process.stderr.write(`${name}: ${message}\n`)
      process.exit(exitCode)
    })
  })
}

async function live<C extends CommonConfig>(name: string, config: C, createApp: CreateApp<C>) {
  await checkStateVersion(config.stateFolder)
  const log = createLog(name, config.logLevel)
  const spans = config.otlpEndpoint
    ? (await import('../observation/span-export.ts')).exportSpans(config.otlpEndpoint, name)
    : undefined
  const hops = config.hopsUrl ? streamHops(config.hopsUrl) : undefined
  if (hops && spans)
    publishHopsTo((event) => {
      hops.publish(event)
      spans.publish(event)
    })
  else publishHopsTo((hops ?? spans)?.publish)
  const creation = (async () => createApp(config, log))()
  let stopping = false

  const stop = (why: string, exitCode: number) => {
    if (stopping) return
    stopping = true
    log.info({ why }, 'stopping')
    setTimeout(() => process.exit(1), cappedMs(config.drainDelayMs + STOP_DEADLINE_MS)).unref()
    const stopped = creation.then((service) => service.stop(config.drainDelayMs)).then(() => spans?.stop())
    stopped.then(
      () => process.exit(exitCode),
      (error: unknown) => {
        log.error({ err: error }, 'stop failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', () => stop('SIGTERM', 0))
  process.on('SIGINT', () => stop('SIGINT', 0))
  // The launcher keeps a channel open; when it is killed, its services must exit too.
  process.on('disconnect', () => stop('the launcher has exited', 0))
  // A forgotten promise is a bug to log, not a reason to drop every request.
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'unhandled rejection'))
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught exception')
    stop('uncaught exception', 1)
  })

  const service = await creation
  if (stopping) return
  const urls = await service.start()
  log.info({ urls }, 'ready')
  process.send?.({ ready: urls })
}
