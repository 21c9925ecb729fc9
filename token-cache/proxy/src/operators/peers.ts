import type { Zone } from '@hallpass/token-store'
import type { CacheFigures } from '../cache/cache-figures.ts'

/** What each proxy tells the others about itself. */
export interface Peer {
  readonly name: string
  readonly startedAt: number
  readonly copies: number
  /** The same fingerprint at two proxies: they know the same blocks. */
  readonly blocks: { readonly count: number; readonly fingerprint: string }
  readonly figures: CacheFigures
}

const TELL_MS = 1_000
/** Who has not been heard of for three tellings is absent: frozen, killed, or cut off from the store. */
const ABSENT_MS = 3_500
/**
 * An absent proxy may come back with what it knew, or still serve, so nothing is confirmed by all without it. Tokens and
 * blocks last five minutes unless somebody says otherwise: what it missed has then ended. One that stops says so itself.
 */
const FORGET_MS = 300_000

interface Told {
  readonly peer: Peer
  readonly saidAt: number
}

/** The proxies that share the store, as they tell of themselves in it. */
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

  /** Says that this proxy stops, so that the others do not wait for it. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#isStopped = true
    await this.#telling
    await this.#zone.overrule(this.#me().name, undefined).catch(() => {})
  }

  /** Never rejects: a store that is away will be told later. */
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

  /** The proxies that speak, and the names of those that lately did and have not said that they stop. */
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
