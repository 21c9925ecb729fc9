import { resolve } from 'node:path'
import type { Clock, Logger } from '@hallpass/service-kit'
import { TrustDomain } from '@hallpass/spiffe'
import { cappedMs } from '@hallpass/untrusted/timers'
import { WorkloadSockets } from './attestation/index.ts'
import { Authorities, type AuthorityKind, SvidIssuer } from './authorities/index.ts'
import { Bundles, FederatedBundles } from './bundles/index.ts'
import type { Config } from './config.ts'
import { EntryStore } from './entries/index.ts'
import { Changes, WorkloadApi } from './workload-api/index.ts'

/** How often the agent checks what is due: half a second is a quarter of the shortest SVID lifetime. */
const TICK_MS = 500

/** The agent with all its parts: entries, authorities, bundles, the Workload API and its sockets. */
export class Agent {
  readonly trustDomain: TrustDomain
  readonly entries: EntryStore
  readonly authorities: Authorities
  readonly bundles: Bundles
  readonly issuer: SvidIssuer
  readonly changes = new Changes()
  readonly workloadApi: WorkloadApi
  readonly sockets: WorkloadSockets
  readonly federation: FederatedBundles
  readonly #config: Config
  readonly #log: Logger
  readonly #tickMs: number
  #timer: NodeJS.Timeout | undefined
  #ticking: Promise<void> | undefined

  private constructor(
    config: Config,
    log: Logger,
    clock: Clock,
    entries: EntryStore,
    authorities: Authorities,
    tickMs: number,
  ) {
    this.#tickMs = tickMs
    const { x509TtlSeconds, jwtTtlSeconds, jwtIssuer } = config
    this.#config = config
    this.#log = log
    this.trustDomain = TrustDomain.ofName(config.trustDomain)
    this.entries = entries
    this.authorities = authorities
    this.bundles = new Bundles(this.trustDomain, authorities, config.bundleRefreshSeconds)
    this.issuer = new SvidIssuer({ authorities, x509TtlSeconds, jwtTtlSeconds, jwtIssuer, clock })
    this.workloadApi = new WorkloadApi({
      entries: () => entries.entries,
      issuer: this.issuer,
      bundles: this.bundles,
      changes: this.changes,
      clock,
      leewaySeconds: config.clockToleranceSeconds,
      onError: (err, path) => log.error({ err, path }, 'the Workload API failed'),
    })
    this.sockets = new WorkloadSockets({
      folder: resolve(config.socketFolder),
      serve: this.workloadApi.serve,
      log,
    })
    this.federation = new FederatedBundles({
      bundles: this.bundles,
      folder: config.folder,
      entriesFile: entries.file,
      caFile: config.caFile,
      changed: () => this.changes.announce(),
      log,
    })
  }

  static async open(config: Config, log: Logger, clock: Clock, tickMs = TICK_MS): Promise<Agent> {
    const entries = await EntryStore.open(config.entriesFile, TrustDomain.ofName(config.trustDomain))
    const longest = (own: number, of: (entry: EntryStore['entries'][number]) => number | undefined) => () =>
      Math.max(own, ...entries.entries.map((entry) => of(entry) ?? 0)) * 1000
    const authorities = await Authorities.open({
      folder: config.folder,
      trustDomain: config.trustDomain,
      x509LifetimeMs: config.caTtlSeconds * 1000,
      jwtLifetimeMs: config.caTtlSeconds * 1000,
      jwtAlgorithm: config.jwtAlgorithm,
      overlapMs: config.rotationOverlapSeconds * 1000,
      longestX509SvidMs: longest(config.x509TtlSeconds, (entry) => entry.x509TtlSeconds),
      longestJwtSvidMs: longest(config.jwtTtlSeconds, (entry) => entry.jwtTtlSeconds),
      clock,
    })
    return new Agent(config, log, clock, entries, authorities, tickMs)
  }

  async start(): Promise<void> {
    const { attestation, sharedSocket, insecureAnyIds } = this.#config
    await this.federation.follow(this.entries.federation)
    await this.sockets.follow(this.entries.entries)
    if (attestation === 'peercred') await this.sockets.openAttested(resolve(sharedSocket))
    if (attestation === 'insecure-any') {
      this.#log.warn(
        { socket: sharedSocket, ids: insecureAnyIds },
        'any process that opens this socket gets these identities',
      )
      await this.sockets.openInsecure(resolve(sharedSocket), insecureAnyIds)
    }
    this.#timer = setInterval(() => void this.tick(), cappedMs(this.#tickMs))
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    // Wait for a running tick, so that whatever it opens is closed too.
    await this.#ticking
    await this.federation.stop()
    await this.sockets.close()
    await this.workloadApi.server.close()
  }

  /** Does what is due: reloads edited entries, and renews authorities and SVIDs. */
  async tick(): Promise<void> {
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = undefined
    })
    await this.#ticking
  }

  async #tick() {
    try {
      if (await this.entries.refresh()) await this.#entriesChanged()
    } catch (error) {
      this.#log.error({ err: error }, 'the entries file cannot be used; the last valid entries stay active')
    }
    try {
      const changed = await this.authorities.advance()
      if (changed) this.#log.info(this.#signers(), 'authorities have changed')
      if (changed || this.issuer.isRenewalDue()) this.changes.announce()
    } catch (error) {
      this.#log.error({ err: error }, 'authorities cannot be renewed')
    }
  }

  async rotate(kind: AuthorityKind): Promise<string> {
    const id = await this.authorities.rotate(kind)
    this.#log.info({ kind, id }, 'a new authority is published')
    this.changes.announce()
    return id
  }

  async retire(kind: AuthorityKind): Promise<string[]> {
    const ids = await this.authorities.retire(kind)
    this.#log.info({ kind, ids }, 'old authorities are no longer trusted')
    this.changes.announce()
    return ids
  }

  async addEntry(entry: Readonly<Record<string, unknown>>): Promise<void> {
    await this.entries.add(entry)
    await this.#entriesChanged()
  }

  async removeEntry(id: string): Promise<void> {
    await this.entries.remove(id)
    await this.#entriesChanged()
  }

  async setRevoked(id: string, revoked: boolean): Promise<void> {
    await this.entries.setRevoked(id, revoked)
    await this.#entriesChanged()
  }

  async #entriesChanged() {
    const { entries } = this.entries
    this.#log.info({ entries: entries.length }, 'entries have changed')
    this.issuer.keepOnly(entries)
    // Load the bundles first: a newly accepted workload needs those that its entry names.
    await this.federation.follow(this.entries.federation)
    await this.sockets.follow(entries)
    this.changes.announce()
  }

  #signers() {
    const { x509, jwt, sequence } = this.authorities
    return {
      sequence,
      x509: x509.active.id,
      jwt: jwt.active.id,
      published: [x509.published.length, jwt.published.length],
    }
  }
}
