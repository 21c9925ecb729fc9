import type { TimerWheel } from '@hallpass/guarded-stream'
import type { Clock } from '@hallpass/service-kit'
import type { Grant } from '../admission/index.ts'
import type { StreamRegistry, StreamSession } from './gateway-streams.ts'
import { RepeatedCheck } from './repeated-check.ts'

/**
 * How often the keys of the open streams are looked for: a stream closes this much later than the key set is loaded. Short next to
 * the four seconds that a JWKS file is used.
 */
const CHECK_MS = 2_000

export interface WithdrawnKeysOptions {
  readonly streams: StreamRegistry
  readonly wheel: TimerWheel
  readonly clock: Clock
  /** Returns since when the key of a grant on a path is known to be withdrawn. Must not reject. */
  readonly withdrawnAt: (path: string, grant: Grant) => Promise<number | undefined>
}

/** Closes the streams whose current token was signed by a key that its issuer no longer publishes. */
export class WithdrawnKeys {
  readonly #options: WithdrawnKeysOptions
  readonly #checks: RepeatedCheck

  constructor(options: WithdrawnKeysOptions) {
    this.#options = options
    this.#checks = new RepeatedCheck({ ...options, pauseMs: CHECK_MS, check: () => this.#check() })
  }

  start(): void {
    this.#checks.start()
  }

  stop(): void {
    this.#checks.stop()
  }

  async #check(): Promise<void> {
    const { streams, withdrawnAt } = this.#options
    // By object: authorizers and GatewayPeers use one for each key of a path's issuer.
    const byKey = new Map<Grant['signer'], StreamSession>()
    for (const session of streams.all()) byKey.set(session.grant.signer, session)
    const gone = new Map<Grant['signer'], number>()
    await Promise.all(
      [...byKey].map(async ([signer, { path, grant }]) => {
        const at = await withdrawnAt(path, grant)
        if (at !== undefined) gone.set(signer, at)
      }),
    )
    if (gone.size > 0)
      // A set that was loaded before the grant came from another gateway may lack a newer key.
      for (const session of [...streams.all()])
        if ((gone.get(session.grant.signer) ?? 0) > session.grant.verifiedAt) session.end('key_withdrawn')
  }
}
