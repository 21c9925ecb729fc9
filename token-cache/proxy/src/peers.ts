import type { Zone } from '@hallpass/token-store'
import type { CacheFigures } from './cache-figures.ts'

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
/** Who has not been heard of for three tellings is gone. */
const FORGET_MS = 3_500

/** The proxies that share the store, as they tell of themselves in it. */
export class Peers {
  readonly #zone: Zone
  readonly #me: () => Peer
  readonly #clock: () => number
  #timer: NodeJS.Timeout | undefined

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

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Never rejects: a store that is away will be told later. */
  async tell(): Promise<void> {
    const me = this.#me()
    try {
      const seen = await this.#zone.get(me.name)
      await this.#zone.replace(me.name, seen, {
        value: JSON.stringify(me),
        endsAt: this.#clock() + FORGET_MS,
      })
    } catch {}
  }

  async all(): Promise<Peer[]> {
    const peers: Peer[] = []
    for await (const [, { value }] of this.#zone.entries()) peers.push(JSON.parse(value) as Peer)
    return peers.sort((a, b) => a.name.localeCompare(b.name))
  }
}
