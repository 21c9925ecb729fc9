import { cappedMs } from '@hallpass/untrusted/timers'
import type { Over, UpstreamConnection, UpstreamTarget } from './upstream-connection.ts'

export interface TokenRenewalOptions {
  readonly credentials: UpstreamTarget['credentials']
  /** Whether another connection can continue where the current one is. */
  readonly canResume: () => boolean
  /** Opens another connection that continues after the last event, and closes the current one. */
  readonly connect: () => Promise<void>
  /** Called if the current connection is over and another one could not be opened. */
  readonly onLost: (how: Over, error: Error | undefined) => void
  readonly onFailed: (error: unknown) => void
}

/**
 * How often it is tried again, if there is no other token yet or no event to resume after. It also bounds the connections if the
 * issuer's tokens have hardly a lifetime.
 */
const RETRY_MS = 1_000
/** A timer can fire this much too early: the token would not be due yet. */
const TIMER_MS = 2

/**
 * Replaces the upstream connection before its token expires, because the upstream may cut it then. The connection is paused, so
 * that its next events wait in the socket; another one asks for the events after the last one, and takes its place. If that
 * fails, the paused one continues: so none is lost or sent twice. Without an event ID nothing could be resumed, so such a
 * connection stays until the upstream closes it.
 */
export class TokenRenewal {
  readonly #options: TokenRenewalOptions
  #timer: NodeJS.Timeout | undefined
  #connection: UpstreamConnection | undefined
  /** Set while another connection is opened. */
  #replacing = false
  #over: { readonly how: Over; readonly error: Error | undefined } | undefined

  constructor(options: TokenRenewalOptions) {
    this.#options = options
  }

  /** Renews the token of a connection that was opened just now, if it has one that expires. */
  follow(connection: UpstreamConnection): void {
    this.#connection = connection
    this.#over = undefined
    const { token } = connection.access
    if (token && token.renewAt !== Number.POSITIVE_INFINITY)
      this.#plan(token.renewAt - performance.now() + TIMER_MS)
    else clearTimeout(this.#timer)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#connection = undefined
  }

  /** Returns whether the end of the current connection does not matter, because another one is being opened. */
  keeps(how: Over, error: Error | undefined): boolean {
    if (this.#replacing) this.#over = { how, error }
    return this.#replacing
  }

  #plan(delayMs: number) {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#renew(), cappedMs(Math.max(delayMs, RETRY_MS))).unref()
  }

  async #renew(): Promise<void> {
    const current = this.#connection
    if (!current) return
    try {
      if (this.#options.canResume() && (await this.#hasOther(current))) await this.#replace(current)
    } catch (error) {
      this.#options.onFailed(error)
    }
    if (this.#connection === current) this.#plan(RETRY_MS)
  }

  async #hasOther({ access }: UpstreamConnection): Promise<boolean> {
    const { token } = await this.#options.credentials.access()
    return token !== access.token
  }

  async #replace(current: UpstreamConnection): Promise<void> {
    if (this.#connection !== current) return
    this.#replacing = true
    current.pause()
    try {
      await this.#options.connect()
    } catch (error) {
      if (this.#connection !== current) return
      current.resume()
      if (this.#over) this.#options.onLost(this.#over.how, this.#over.error)
      throw error
    } finally {
      this.#replacing = false
    }
  }
}
