import type { Zone } from '@hallpass/token-store'
import type { CacheFigures } from '../cache/index.ts'

/** What each proxy reports about itself. */
export interface Peer {
  readonly name: string
  readonly startedAt: number
  readonly copies: number
  /** Proxies with the same fingerprint know the same blocks. */
  readonly blocks: { readonly count: number; readonly fingerprint: string }
  readonly figures: CacheFigures
}

const TELL_MS = 1_000
/** A proxy that has missed three reports is absent: frozen, killed, or disconnected from the store. */
const ABSENT_MS = 3_500
/**
 * An absent proxy can still serve requests or recover with old data, so a block is not confirmed by all proxies without it.
 * By default, tokens and blocks last five minutes; after that, whatever it missed has expired. A proxy that stops
 * reports that itself.
 */
const FORGET_MS = 300_000

interface Told {
  readonly peer: Peer
  readonly saidAt: number
}

/** The proxies that share the store, as they report themselves in it. */
export class Peers {
  readonly #zone: Zone
  readonly #me: () => Peer
  readonly #clock: () => number
  #timer: NodeJS.Timeout | undefined
  #telling: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(zone: Zone, me: () => Peer, clock: () => number) {
    this.#zone = zone
    this.#me = me
    this.#clock = clock
  }

  start(): void {
    this.#timer = setInterval(() => void this.tell(), TELL_MS)
    this.#timer.unref()
    void this.tell()
  }

  /** Reports that this proxy stops, so that the others do not wait for it. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#isStopped = true
    await this.#telling
    await this.#zone.overrule(this.#me().name, undefined).catch(() => {})
  }

  /** Reports this proxy to the store. Never rejects: if the store is unavailable, a later report reaches it. */
  tell(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#tell())
    return this.#telling
  }

  async #tell(): Promise<void> {
    if (this.#isStopped) return
    const peer = this.#me()
    const now = this.#clock()
    try {
      const seen = await this.#zone.get(peer.name)
      await this.#zone.replace(peer.name, seen, {
        value: JSON.stringify({ peer, saidAt: now } satisfies Told),
        endsAt: now + FORGET_MS,
      })
    } catch {}
  }

  /** Returns the proxies that report, and the names of those that recently did and have not stopped. */
  async all(): Promise<{ peers: Peer[]; absent: string[] }> {
    const peers: Peer[] = []
    const absent: string[] = []
    const since = this.#clock() - ABSENT_MS
    for await (const [, { value }] of this.#zone.entries()) {
      const { peer, saidAt } = JSON.parse(value) as Told
      if (saidAt > since) peers.push(peer)
      else absent.push(peer.name)
    }
    return { peers: peers.sort((a, b) => a.name.localeCompare(b.name)), absent: absent.sort() }
  }
}
