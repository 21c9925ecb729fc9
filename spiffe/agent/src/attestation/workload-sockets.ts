import { chmod, chown, mkdir, rm, stat } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { ensurePrivateFolder } from '@hallpass/private-files'
import type { Logger } from '@hallpass/service-kit'
import { explainLongSocketPath } from '@hallpass/spiffe/address'
import type { Entry } from '../entries/index.ts'
import { readPeerCredentials } from './peer-credentials.ts'
import { uidOf, unixSelectors } from './unix-selectors.ts'
import type { Workload } from './workload.ts'

export interface WorkloadSocketsOptions {
  /** Contains a folder with a socket for each `socket:` selector. */
  readonly folder: string
  /** Serves a connection; `attest` resolves with the workload at the other end, or rejects. */
  readonly serve: (socket: Socket, attest: Promise<Workload>) => void
  readonly log: Logger
}

/** The agent's sockets. The socket that a workload uses identifies it. */
export class WorkloadSockets {
  readonly #options: WorkloadSocketsOptions
  readonly #own = new Map<string, { server: Server; owner: string | undefined }>()
  #shared: Server | undefined
  #following: Promise<void> = Promise.resolve()

  constructor(options: WorkloadSocketsOptions) {
    this.#options = options
  }

  /** Returns the path of a workload's own socket. */
  path(name: string): string {
    return join(this.#options.folder, name, 'agent.sock')
  }

  /** Opens a socket for each `socket:` selector and closes those that no entry names any more. */
  follow(entries: readonly Entry[]): Promise<void> {
    // Sequentially, because concurrent calls would open the same socket twice.
    this.#following = this.#following.then(() => this.#follow(entries))
    return this.#following
  }

  async #follow(entries: readonly Entry[]) {
    const wanted = new Map<string, string | undefined>()
    for (const { selectors, socketOwner } of entries)
      for (const selector of selectors)
        if (selector.startsWith('socket:')) wanted.set(selector.slice('socket:'.length), socketOwner)
    for (const [name, { server, owner }] of this.#own) {
      if (wanted.has(name) && wanted.get(name) === owner) continue
      this.#own.delete(name)
      server.close()
      await rm(join(this.#options.folder, name), { recursive: true, force: true })
    }
    for (const [name, owner] of wanted) if (!this.#own.has(name)) await this.#openOwn(name, owner)
  }

  /** Only the owner can enter the folder, so every connection is from that workload. */
  async #openOwn(name: string, owner: string | undefined) {
    const path = this.path(name)
    await ensurePrivateFolder(this.#options.folder)
    const workload: Workload = { selectors: [`socket:${name}`] }
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 })
      const server = await listen(path, (socket) => this.#options.serve(socket, Promise.resolve(workload)))
      this.#own.set(name, { server, owner })
      await chmod(path, 0o600)
      if (owner !== undefined) await this.#giveAway(path, await uidOf(owner))
    } catch (error) {
      // A failure for one workload must not affect the others.
      this.#options.log.error({ err: error, socket: path }, 'cannot open the socket of a workload')
    }
  }

  /** Gives the socket to another user, who must own it and its folder, and be able to enter the folders above. */
  async #giveAway(path: string, uid: number) {
    await chown(path, uid, -1)
    await chown(dirname(path), uid, -1)
    await chmod(this.#options.folder, 0o711)
  }

  /** Opens one socket for all workloads, which are identified by the kernel's peer credentials. */
  async openAttested(path: string): Promise<void> {
    await this.#openShared(path, async (socket) => ({
      selectors: await unixSelectors(await readPeerCredentials(socket)),
    }))
  }

  /** Opens one socket that gives the same identities to every process that can open it. */
  async openInsecure(path: string, spiffeIds: readonly string[]): Promise<void> {
    await this.#openShared(path, async () => ({ selectors: [], given: spiffeIds }))
  }

  async #openShared(path: string, attest: (socket: Socket) => Promise<Workload>) {
    const { serve, log } = this.#options
    const server = await listen(path, (socket) => {
      const attested = attest(socket)
      attested.catch((error) => log.warn({ err: error }, 'workload attestation failed'))
      serve(socket, attested)
    })
    this.#shared = server
    await chmod(path, 0o777)
  }

  async close(): Promise<void> {
    await this.#following
    for (const { server } of this.#own.values()) server.close()
    this.#own.clear()
    this.#shared?.close()
  }
}

async function listen(path: string, accept: (socket: Socket) => void): Promise<Server> {
  const tooLong = explainLongSocketPath(path)
  if (tooLong !== undefined) throw new Error(`unix socket ${tooLong}`)
  await removeStale(path)
  const server = createServer(accept)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(path, resolve)
  })
  return server
}

/** Removes the socket of a killed agent. @throws if an agent still listens on it, or the file is not a socket. */
export async function removeStale(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (!found) return
  if (!found.isSocket()) throw new Error(`${path} exists and is not a socket`)
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
    probe.once('connect', () => probe.destroy())
  })
  if (answers) throw new Error(`another agent is listening on ${path}`)
  await rm(path, { force: true })
}
