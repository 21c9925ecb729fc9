import type { SuiteProcess } from './suite-builder.ts'
import { SupervisedService, type SupervisionOptions } from './supervised-service.ts'

export type LauncherOptions = Pick<SupervisionOptions, 'root' | 'stateFolder'> & Partial<SupervisionOptions>

/** The suite has no service with this name. */
export class NoSuchService extends Error {
  constructor(name: string, names: Iterable<string>) {
    super(`Service not found: ${name}. The services are: ${[...names].join(', ')}`)
    this.name = 'NoSuchService'
  }
}

/**
 * Starts each service of a suite as a process from its bundle, and stops them together. A service that dies is
 * restarted while the others keep running; a service that was stopped stays stopped until it is started.
 */
export class Launcher {
  readonly #options: SupervisionOptions
  readonly #services = new Map<string, SupervisedService>()
  #stopping: Promise<void> | undefined

  constructor(options: LauncherOptions) {
    const nothing = () => {}
    this.#options = { env: {}, onLine: nothing, onReady: nothing, onEnd: nothing, ...options }
  }

  /**
   * Starts the services concurrently and resolves when each has answered its `/readyz`.
   * @param leftOut services to leave stopped until {@link startService} is called
   * @throws {ServiceDied} if one cannot be started.
   */
  async start(processes: readonly SuiteProcess[], leftOut: readonly string[] = []): Promise<void> {
    for (const service of processes)
      this.#services.set(service.name, new SupervisedService(service, this.#options))
    const wanted = this.services.filter(({ service }) => !leftOut.includes(service.name))
    await Promise.all(wanted.map((service) => service.start()))
  }

  get services(): readonly SupervisedService[] {
    return [...this.#services.values()]
  }

  /** @throws {NoSuchService} */
  service(name: string): SupervisedService {
    const service = this.#services.get(name)
    if (!service) throw new NoSuchService(name, this.#services.keys())
    return service
  }

  /** Returns the process ID of a running service, for tests that kill one. */
  pid(name: string): number | undefined {
    return this.#services.get(name)?.pid
  }

  /** Starts a service that was stopped; resolves when it is ready. */
  async startService(name: string): Promise<void> {
    if (this.#stopping !== undefined) throw new Error('The suite is stopping.')
    await this.service(name).start()
  }

  /** Stops a service. It stays stopped while the others run. */
  stopService(name: string, signal?: NodeJS.Signals): Promise<void> {
    return this.service(name).stop(signal)
  }

  /** Kills a service, calls `meanwhile`, and starts it again: for tests of its peers. */
  async restart(name: string, meanwhile: () => Promise<void>): Promise<void> {
    await this.stopService(name, 'SIGKILL')
    await meanwhile()
    await this.startService(name)
  }

  /** Stops all services; with `SIGKILL` immediately. */
  stop(signal?: NodeJS.Signals): Promise<void> {
    this.#stopping ??= Promise.all(this.services.map((service) => service.stop(signal))).then(() => {})
    return this.#stopping
  }
}
