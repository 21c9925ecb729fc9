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
  /** Whether the last check had an answer, be it that it is not ready. */
  answers: boolean
  /** Checks that failed in a row. */
  missed: number
}

/** One answer may be late on a busy machine; a second one hardly. */
const MISSES_UNTIL_DOWN = 2

/**
 * The proxies, and which of them can be sent to: one that refuses or drops a connection is left out at once (passive
 * check), one that is not ready, or misses two checks, too; one that is ready is back with the next check (active).
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
   * The next one in turn that was not tried yet. When all are out, one that answers at least: without the store none is
   * ready, and whom they know they serve. Else any: that nobody seems to be there is more likely a mistake of the checks
   * than a reason to refuse everybody.
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

  /** A request could not be sent, or its connection broke. */
  failed(upstream: Upstream): void {
    const member = this.#members.find((one) => one.upstream === upstream)
    if (!member) return
    member.answers = false
    this.#set(member, false, 'a connection failed')
  }

  start(): void {
    this.#timer = setInterval(() => void this.check(), cappedMs(this.#options.checkMs))
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Asks all of them once. */
  async check(): Promise<void> {
    await Promise.all(this.#members.map((member) => this.#checkOne(member)))
  }

  async #checkOne(member: Member): Promise<void> {
    const status = await ask(member.upstream, this.#options.checkMs)
    member.answers = status !== undefined
    member.missed = status === undefined ? member.missed + 1 : 0
    if (status === 200) this.#set(member, true, 'it is ready')
    else if (status !== undefined) this.#set(member, false, `it answers ${status}`)
    else if (member.missed >= MISSES_UNTIL_DOWN) this.#set(member, false, 'it does not answer')
  }

  #set(member: Member, up: boolean, why: string): void {
    if (member.up === up) return
    member.up = up
    const { address } = member.upstream
    this.#options.log[up ? 'info' : 'warn'](
      { proxy: address, why },
      up ? 'a proxy is back' : 'a proxy is left out',
    )
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
