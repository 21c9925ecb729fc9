import { isUnavailableStore } from '@hallpass/service-kit'
import type { SealedStore, SealedZone } from '@hallpass/token-store'
import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { loadOidcLibrary } from './oidc-library.ts'

/** Enough for the sessions, codes and tokens of a classroom; beyond that, an entry that expires soon is removed. */
export const MAX_ENTRIES = 10_000
/** For entries without a lifetime of their own; the library gives each kind that is used here one. */
const LONGEST_S = 24 * 3600

/** A request that is under way when its grant is revoked may still store a token. */
const IN_FLIGHT_S = 60

/** What a grant's revocation ends. */
const GRANTED: readonly string[] = ['AccessToken', 'AuthorizationCode', 'RefreshToken']

export interface LoginStoreOptions {
  readonly store: SealedStore
  readonly library: Awaited<ReturnType<typeof loadOidcLibrary>>
  /** How long the tokens of a grant can live. */
  readonly grantTtlSeconds: number
}

/**
 * Stores oidc-provider's sessions, codes, grants and refresh tokens for all replicas. Their IDs are bearer values (cookies,
 * codes, refresh tokens), so the store contains neither them nor the entries in readable form.
 *
 * A revocation is an entry of its own: it ends also the tokens of a request that another replica is answering.
 */
export class LoginStore {
  readonly #entries: SealedZone
  readonly #revocations: SealedZone
  readonly #library: LoginStoreOptions['library']
  readonly #grantTtlMs: number

  constructor({ store, library, grantTtlSeconds }: LoginStoreOptions) {
    this.#entries = store.entries
    this.#revocations = store.pinned
    this.#library = library
    this.#grantTtlMs = (grantTtlSeconds + IN_FLIGHT_S) * 1000
  }

  /** Returns the store as oidc-provider requires it: one adapter per kind of entry. */
  readonly adapterFor = (kind: string): Adapter => {
    const nameOf = (id: string) => `${kind} ${id}`
    /** The ID of an entry by another of its values. */
    const nameOfIndex = (index: string, value: string) => `${kind} by ${index} ${value}`
    const find = async (id: string) => {
      const payload = (await this.#entries.get<AdapterPayload>(nameOf(id)))?.value
      return payload && (await this.#isRevoked(kind, payload)) ? undefined : payload
    }
    const findBy = async (index: 'uid' | 'userCode', value: string) => {
      const id = (await this.#entries.get<string>(nameOfIndex(index, value)))?.value
      const payload = id === undefined ? undefined : await find(id)
      return payload?.[index] === value ? payload : undefined
    }
    const adapter: Adapter = {
      upsert: async (id, payload, expiresIn) => {
        const endsAt = Date.now() + (expiresIn || LONGEST_S) * 1000
        await this.#entries.put(nameOf(id), payload, endsAt)
        // A session's ID changes at login; its uid stays.
        if (kind === 'Session' && payload.uid !== undefined)
          await this.#entries.put(nameOfIndex('uid', payload.uid), id, endsAt)
        if (payload.userCode !== undefined)
          await this.#entries.put(nameOfIndex('userCode', payload.userCode), id, endsAt)
      },
      find,
      findByUid: (uid) => findBy('uid', uid),
      findByUserCode: (userCode) => findBy('userCode', userCode),
      consume: (id) => this.#consume(nameOf(id)),
      destroy: (id) => this.#entries.remove(nameOf(id)),
      revokeByGrantId: (grantId) => this.#revoke(grantId),
    }
    return this.#reportingUnavailability(adapter)
  }

  /**
   * Marks an entry as used. Two replicas may have read it unused: only one of them may continue, and the other one is a reuse,
   * which ends the grant (RFC 9700 §4.14.2).
   */
  async #consume(name: string): Promise<void> {
    let used: AdapterPayload | undefined
    await this.#entries.change<AdapterPayload>(name, (entry) => {
      used = entry?.value.consumed === undefined ? undefined : entry.value
      if (!entry || used) return undefined
      return { ...entry, value: { ...entry.value, consumed: Math.floor(Date.now() / 1000) } }
    })
    if (!used) return
    if (used.grantId !== undefined) await this.#revoke(used.grantId)
    throw new this.#library.errors.InvalidGrant('already used')
  }

  async #revoke(grantId: string): Promise<void> {
    await this.#revocations.put(revocationOf(grantId), true, Date.now() + this.#grantTtlMs)
  }

  async #isRevoked(kind: string, { grantId }: AdapterPayload): Promise<boolean> {
    if (grantId === undefined || !GRANTED.includes(kind)) return false
    return (await this.#revocations.get(revocationOf(grantId))) !== undefined
  }

  /** Makes the library answer 503 if the store is unavailable, without a redirect: the client cannot help. */
  #reportingUnavailability(adapter: Adapter): Adapter {
    const report = (error: unknown): never => {
      if (!isUnavailableStore(error)) throw error
      const reported = new this.#library.errors.CustomOIDCProviderError(
        'temporarily_unavailable',
        error.message,
        { cause: error },
      )
      throw Object.assign(reported, { status: 503, statusCode: 503, allow_redirect: false })
    }
    return Object.fromEntries(
      Object.entries(adapter).map(([name, method]) => [
        name,
        (...args: never[]) => (method as (...args: never[]) => Promise<unknown>)(...args).catch(report),
      ]),
    ) as unknown as Adapter
  }
}

const revocationOf = (grantId: string) => `revoked ${grantId}`
