import type { Upstream } from '@hallpass/reverse-proxy'
import { askWithin, type Logger } from '@hallpass/service-kit'
import { cappedMs } from '@hallpass/untrusted/timers'

export interface ProxiesOptions {
  readonly upstreams: readonly Upstream[]
  readonly checkMs: number
  readonly log: Logger
  readonly onChange?: (address: string, up: boolean) => void
}

interface Member {
  readonly upstream: Upstream
  up: boolean
  /** Whether the proxy answered the last check, even with "not ready". */
  answers: boolean
  /** The number of consecutive checks without an answer. */
  missed: number
}

/** On a busy machine, one answer can be late, but rarely two in a row. */
const MISSES_UNTIL_DOWN = 2

/**
 * The proxies and their health. A proxy whose connection fails is down immediately (passive check); a proxy that is not
 * ready or misses two checks is down, and a ready one is up, after the next check (active check).
 */
export class Proxies {
  readonly #options: ProxiesOptions
  readonly #members: readonly Member[]
  #turn = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: ProxiesOptions) {
    this.#options = options
    this.#members = options.upstreams.map((upstream) => ({ upstream, up: true, answers: true, missed: 0 }))
  }

  /**
   * Returns the next proxy in turn that was not tried yet. If all are down, it returns one that at least answers: without
   * the store, none is ready, but all serve known callers. Otherwise any: it is more likely that the checks are wrong than
   * that all proxies are down.
   */
  next(tried: readonly Upstream[] = []): Upstream | undefined {
    return (
      this.#pick(tried, ({ up }) => up) ??
      this.#pick(tried, ({ answers }) => answers) ??
      this.#pick(tried, () => true)
    )
  }

  #pick(tried: readonly Upstream[], isGood: (member: Member) => boolean): Upstream | undefined {
    const count = this.#members.length
    for (let step = 0; step < count; step += 1) {
      const member = this.#members[(this.#turn + step) % count] as Member
      const { upstream } = member
      if (!isGood(member) || tried.includes(upstream)) continue
      this.#turn = (this.#turn + step + 1) % count
      return upstream
    }
    return undefined
  }

  /** Marks a proxy as down because a request could not be sent or its connection failed. */
  failed(upstream: Upstream): void {
    const member = this.#members.find((one) => one.upstream === upstream)
    if (!member) return
    member.answers = false
    this.#set(member, false, 'connection failed')
  }

  start(): void {
    this.#timer = setInterval(() => void this.check(), cappedMs(this.#options.checkMs))
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Checks all proxies once. */
  async check(): Promise<void> {
    await Promise.all(this.#members.map((member) => this.#checkOne(member)))
  }

  async #checkOne(member: Member): Promise<void> {
    const status = await ask(member.upstream, this.#options.checkMs)
    member.answers = status !== undefined
    member.missed = status === undefined ? member.missed + 1 : 0
    if (status === 200) this.#set(member, true, 'ready')
    else if (status !== undefined) this.#set(member, false, `answered ${status}`)
    else if (member.missed >= MISSES_UNTIL_DOWN) this.#set(member, false, 'no answer')
  }

  #set(member: Member, up: boolean, why: string): void {
    if (member.up === up) return
    member.up = up
    const { address } = member.upstream
    this.#options.log[up ? 'info' : 'warn']({ proxy: address, why }, up ? 'proxy up' : 'proxy down')
    this.#options.onChange?.(address, up)
  }

  states(): { address: string; up: boolean }[] {
    return this.#members.map(({ upstream, up }) => ({ address: upstream.address, up }))
  }
}

async function ask(upstream: Upstream, timeoutMs: number): Promise<number | undefined> {
  try {
    return (await askWithin(upstream.pool, { path: '/readyz', method: 'GET' }, timeoutMs)).status
  } catch {
    return undefined
  }
}
