import { chmod, rm } from 'node:fs/promises'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import { asStateFileError, withFolderLock, withShortSocketPath } from '@hallpass/private-files'
import { type LaunchedSuite, launcherSocketOf } from '@hallpass/service-kit/launcher'
import { type Launcher, NoSuchService } from './launcher.ts'
import { alreadyRuns, suiteOwner } from './suite-owner.js'
import type { SupervisedService } from './supervised-service.ts'

/** Another launcher uses this state folder. */
export class AlreadyRuns extends Error {
  constructor(stateFolder: string, pid: number | undefined) {
    super(alreadyRuns(stateFolder, pid))
    this.name = 'AlreadyRuns'
  }
}

/**
 * The HTTP socket of a launcher in its state folder. It marks the folder as in use, and stops and starts single services.
 * The file mode restricts it to the folder's owner.
 */
export class LauncherSocket {
  readonly #path: string
  readonly #server: http.Server
  #launcher: Launcher | undefined
  #onDone: (name: string, verb: 'start' | 'stop') => void = () => {}

  private constructor(path: string) {
    this.#path = path
    this.#server = http.createServer((request, response) => void this.#answer(request, response))
  }

  /**
   * Claims the state folder before anything starts in it. Replaces the socket of a launcher that was killed.
   * @throws {AlreadyRuns}
   */
  static async claim(stateFolder: string): Promise<LauncherSocket> {
    const path = launcherSocketOf(stateFolder)
    const socket = new LauncherSocket(path)
    // With the lock, a concurrent start cannot remove the socket that this one has just created.
    await withFolderLock(stateFolder, async () => {
      const owner = await suiteOwner(stateFolder)
      if (owner) throw new AlreadyRuns(stateFolder, owner.pid)
      await rm(path, { force: true })
      await socket.#listen()
    })
    return socket
  }

  /** Accepts requests that stop and start services, and calls `onDone` after each. */
  serve(launcher: Launcher, onDone: (name: string, verb: 'start' | 'stop') => void = () => {}) {
    this.#launcher = launcher
    this.#onDone = onDone
  }

  async close(): Promise<void> {
    await rm(this.#path, { force: true })
    this.#server.closeAllConnections()
    this.#server.close()
  }

  async #listen() {
    try {
      await withShortSocketPath(
        this.#path,
        (path) =>
          new Promise<void>((resolve, reject) => {
            this.#server.once('error', reject).listen(path, resolve)
          }),
      )
      await chmod(this.#path, 0o600)
    } catch (error) {
      throw asStateFileError(this.#path, error)
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    try {
      send(response, 200, await this.#handle(request.method ?? '', request.url ?? ''))
    } catch (error) {
      const status = error instanceof NoSuchService ? 404 : 409
      send(response, status, { error: { message: (error as Error).message } })
    }
  }

  async #handle(method: string, url: string): Promise<unknown> {
    if (method === 'GET' && url === '/suite') return this.#describe()
    const [, name, verb] = /^\/services\/([^/]+)\/(start|stop)$/.exec(url) ?? []
    if (method !== 'POST' || name === undefined) throw new Error(`No such endpoint: ${method} ${url}`)
    if (!this.#launcher) throw new Error('The suite has not started yet.')
    const service = decodeURIComponent(name)
    await (verb === 'stop' ? this.#launcher.stopService(service) : this.#launcher.startService(service))
    this.#onDone(service, verb as 'start' | 'stop')
    return {}
  }

  async #describe(): Promise<LaunchedSuite> {
    const describe = async (supervised: SupervisedService) => {
      const state = await supervised.listedState()
      const { service, pid, restarts, lastEnd } = supervised
      return {
        name: service.name,
        shows: service.shows,
        state,
        urls: Object.values(service.urls),
        needs: service.needs,
        restarts,
        ...(pid === undefined ? {} : { pid }),
        ...(lastEnd === undefined ? {} : { lastEnd }),
      }
    }
    const services = await Promise.all((this.#launcher?.services ?? []).map(describe))
    return { pid: process.pid, services }
  }
}

function send(response: ServerResponse, status: number, body: unknown) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
