import { stat } from 'node:fs/promises'
import {
  type Clock,
  ConfigError,
  type Logger,
  silentLog,
  systemClock,
  UnusableKeys,
} from '@hallpass/service-kit'
import type { Zone } from '@hallpass/token-store'
import type { CallersConfig } from './config.ts'
import type { ClientCredential } from './oauth/index.ts'
import { readTrustFile } from './trust-file.ts'
import { type Caller, type ClientAuthentication, TrustedCallers } from './trusted-callers.ts'
import { UsedAssertions } from './used-assertions.ts'

export interface CallersFileOptions {
  /** Milliseconds since the epoch. */
  readonly clock?: Clock | undefined
  /** Where used assertions are stored, for all replicas and across restarts; in memory if undefined. */
  readonly usedAssertions?: Zone | undefined
  readonly log?: Logger | undefined
  /** Told of the callers' published keys that cannot be used. */
  readonly unusable?: UnusableKeys | undefined
}

/**
 * A caller that is removed from the file is rejected after at most this time. The files are examined when a caller or a
 * probe needs them instead of being watched: a `stat` of each notices atomic renames, the symbolic links that Kubernetes
 * exchanges, and changes on network file systems, of which `fs.watch` misses some.
 */
const CHECK_MS = 1_000

/**
 * The callers of a trusted-callers file, which is reloaded when it or a file that it names has changed. A changed file that
 * is not valid is refused: the callers that were read before stay active. Used assertions and the cached keys of unchanged
 * entries survive a reload. (The keys in a JWKS file are loaded when they are needed: see proofs.ts.
 * Here the file is only checked, to report it.)
 */
export class CallersFile {
  readonly #path: string
  readonly #inMesh: boolean | undefined
  readonly #proofOptions: ConstructorParameters<typeof TrustedCallers>[1]
  readonly #clock: Clock
  readonly #log: Logger
  #callers: TrustedCallers | undefined
  #readAt = 0
  /** The files to examine, and their state before they were last read. */
  #files: readonly string[]
  #versions = ''
  #checkedAt = Number.NEGATIVE_INFINITY
  #checking: Promise<void> | undefined
  /** What is wrong with the files on disk. */
  #problem: string | undefined

  /** @param audience the service's own name, the only allowed audience of a credential. */
  constructor(
    { trustFile, leewaySeconds, inMesh }: Extract<CallersConfig, { mode: 'authenticated' }>,
    audience: string,
    {
      clock = systemClock,
      usedAssertions,
      log = silentLog,
      unusable = new UnusableKeys(log),
    }: CallersFileOptions = {},
  ) {
    this.#path = trustFile
    this.#inMesh = inMesh
    this.#files = [trustFile]
    this.#proofOptions = {
      audience,
      clock,
      leewaySeconds,
      usedAssertions: new UsedAssertions(clock, usedAssertions),
      unusable,
    }
    this.#clock = clock
    this.#log = log
  }

  /** Reads the file for the first time. @throws {ConfigError} if it is missing or invalid, with every problem. */
  async load(): Promise<void> {
    await this.#read()
    this.#checkedAt = this.#clock()
  }

  /** Verifies a caller's token and returns the caller; see {@link TrustedCallers.identify}. */
  async identify(token: string): Promise<Caller> {
    await this.#check()
    return this.#loaded().identify(token)
  }

  /** Authenticates an OAuth client and returns the caller; see {@link TrustedCallers.identifyClient}. */
  async identifyClient(credential: ClientCredential): Promise<Caller> {
    await this.#check()
    return this.#loaded().identifyClient(credential)
  }

  /** How clients of the last valid file can authenticate. */
  get authentication(): ClientAuthentication {
    return this.#loaded().authentication
  }

  #loaded(): TrustedCallers {
    if (!this.#callers) throw new Error('The trusted-callers file was used before it was loaded.')
    return this.#callers
  }

  /** Returns what is wrong with the files on disk; undefined if they are the active ones. */
  async warning(): Promise<string | undefined> {
    await this.#check()
    return this.#problem
  }

  async #check(): Promise<void> {
    // Absolute, so that a clock that is set back does not stop the checks.
    if (Math.abs(this.#clock() - this.#checkedAt) >= CHECK_MS) {
      this.#checkedAt = this.#clock()
      this.#checking ??= this.#reloadIfChanged().finally(() => {
        this.#checking = undefined
      })
    }
    await this.#checking
  }

  async #reloadIfChanged(): Promise<void> {
    // After a problem, read again each time: its cause can be a file that only the problem names.
    if (this.#problem === undefined && (await this.#state()) === this.#versions) return
    const before = this.#problem
    const lost: string[] = []
    try {
      const isNew = await this.#read((problem) => lost.push(problem))
      this.#problem =
        lost.length === 0
          ? undefined
          : `Keys were lost, and their callers are rejected ten seconds later. ${lost.sort().join('; ')}`
      if (isNew || (before !== undefined && lost.length === 0))
        this.#log.info({ file: this.#path, callers: this.#callers?.names }, 'trusted callers reloaded')
      if (lost.length > 0 && this.#problem !== before)
        this.#log.error({ file: this.#path, reason: lost.join('; ') }, 'keys of trusted callers lost')
    } catch (error) {
      const reason = error instanceof ConfigError ? error.problems.join('; ') : (error as Error).message
      const since = new Date(this.#readAt).toISOString()
      this.#problem = `The changed file was refused; the callers that were read at ${since} stay active. ${reason}`
      if (this.#problem !== before)
        this.#log.error(
          { file: this.#path, reason },
          'trusted callers refused: the previous ones stay active',
        )
    }
  }

  /** Returns whether the callers have changed. */
  async #read(onLostKeys?: (problem: string) => void): Promise<boolean> {
    // Taken before reading, so that a change during it is noticed by the next check; so are files that are new in the list.
    const versions = await this.#state()
    const entries = await readTrustFile(this.#path, {
      inMesh: this.#inMesh,
      keyFilesInUse: new Set(this.#files),
      onLostKeys,
    })
    const callers = new TrustedCallers(entries, this.#proofOptions, this.#callers)
    const isNew = !callers.equals(this.#callers)
    this.#callers = callers
    const named = entries
      .flatMap((entry) => [entry.caFile, 'jwksFile' in entry ? entry.jwksFile : undefined])
      .filter((file) => file !== undefined)
    this.#files = [this.#path, ...new Set(named)]
    this.#versions = versions
    this.#readAt = this.#clock()
    return isNew
  }

  /** Describes the files as they are on disk, following symbolic links: another text means another content. */
  async #state(): Promise<string> {
    const states = await Promise.all(
      this.#files.map(async (file) => {
        try {
          const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true })
          return [file, dev, ino, size, mtimeNs, ctimeNs].join(' ')
        } catch (error) {
          return `${file} ${(error as NodeJS.ErrnoException).code}`
        }
      }),
    )
    return states.join('\n')
  }
}
