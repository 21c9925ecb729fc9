import { type Clock, issuerKeys } from '@hallpass/service-kit'
import { type KeyFinder, remoteKeys } from '@hallpass/tokens'
import type { OpenidClient } from './openid-client.ts'

/** The identity provider as the issuer of tokens that do not come from its token endpoint. */
export class TrustedIssuer {
  readonly #provider: OpenidClient
  readonly #clock: Clock
  #found: Promise<{ readonly issuer: string; readonly keys: KeyFinder }> | undefined

  constructor(provider: OpenidClient, clock: Clock) {
    this.#provider = provider
    this.#clock = clock
  }

  /** Returns its exact name and its keys, fetched once. After a failure the next call tries again. @throws {PeerError} */
  find(): Promise<{ readonly issuer: string; readonly keys: KeyFinder }> {
    this.#found ??= this.#ask().catch((error: unknown) => {
      this.#found = undefined
      throw error
    })
    return this.#found
  }

  async #ask() {
    const { issuer, jwksUrl } = await this.#provider.issuer()
    return { issuer, keys: remoteKeys({ issuer, ...issuerKeys({ issuer, jwksUrl }), clock: this.#clock }) }
  }
}
