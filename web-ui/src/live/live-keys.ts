import { badRequest } from '@hallpass/service-kit'
import { askPeer } from './ask-peer.ts'

interface KeyState {
  readonly kid: string
  readonly alg: string
  readonly state: 'published' | 'signing' | 'retired' | 'withdrawn'
  readonly sinceMs: number
  readonly untilMs?: number
}

/** When the next key is published, unless it already is, and when it signs; in milliseconds since the epoch. */
interface RotationPlan {
  readonly publishAtMs?: number
  readonly rotateAtMs: number
}

export interface LiveKeysOptions {
  readonly jwtFactoryUrl: string
  readonly serviceAUrl: string
}

/** The name under which service A's own key is listed next to the key IDs of the factory. */
const OWN_KEY = 'service-a'
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/

/** Shows the keys of the factory and of service A with their states, and the JWKS as verifiers get it. */
export class LiveKeys {
  readonly #factory
  readonly #serviceA
  readonly #options: LiveKeysOptions

  constructor(options: LiveKeysOptions) {
    this.#options = options
    this.#factory = askPeer('jwt-factory', options.jwtFactoryUrl)
    this.#serviceA = askPeer('service-a', options.serviceAUrl)
  }

  async show() {
    const factory = Promise.all([
      this.#factory<{ keyIds: { keyId: string; keys: KeyState[]; plan?: RotationPlan }[] }>(
        '/utils/key-states',
      ),
      this.#factory<unknown>('/.well-known/jwks.json'),
    ])
    const [ofFactory, own] = await Promise.allSettled([
      factory,
      this.#serviceA<{ keys: KeyState[] }>('/keys'),
    ])
    // An unavailable service is shown as such next to the keys of the other; only if both are, it is an error.
    if (ofFactory.status === 'rejected' && own.status === 'rejected') throw ofFactory.reason
    const [states, jwks] = ofFactory.status === 'fulfilled' ? ofFactory.value : [{ keyIds: [] }, undefined]
    const away = [
      { holder: 'jwt-factory', outcome: ofFactory },
      { holder: OWN_KEY, outcome: own },
    ]
    return {
      now: Date.now(),
      holders: [
        ...states.keyIds.map((one) => ({ ...one, holder: 'jwt-factory' })),
        ...(own.status === 'fulfilled' ? [{ holder: OWN_KEY, keyId: OWN_KEY, keys: own.value.keys }] : []),
      ],
      away: away.flatMap(({ holder, outcome }) =>
        outcome.status === 'rejected' ? [{ holder, failure: (outcome.reason as Error).message }] : [],
      ),
      jwks: { url: `${this.#options.jwtFactoryUrl}/.well-known/jwks.json`, body: jwks ?? { keys: [] } },
    }
  }

  /** @throws {HttpError} 400 for an invalid key ID */
  async rotate(holder: unknown, keyId: unknown): Promise<void> {
    if (holder === OWN_KEY) return void (await this.#serviceA('/gen-keys', { method: 'POST' }))
    if (holder !== 'jwt-factory' || typeof keyId !== 'string' || !KEY_ID.test(keyId))
      throw badRequest('unknown_key', 'Set holder to jwt-factory or service-a, and keyId to a key ID.')
    await this.#factory(`/keys/${keyId}`, { method: 'POST' })
  }
}
