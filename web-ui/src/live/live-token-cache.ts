import { badRequest, HttpError, unexpectedAnswer } from '@hallpass/service-kit'
import { type AxiosInstance, createPeerClient } from '@hallpass/service-kit/axios'
import { pause } from '@hallpass/untrusted/timers'
import { type AskPeer, askPeer } from './ask-peer.ts'

/** The user agent of scenario 6 and of this view: the cache also distinguishes users by their user agents. */
export const EXPLORER_AGENT = 'explorer'
const KEYVALS = '/api/8/http/keyvals/tokens'
/** A user, in the form that the header `remote-user` allows. */
const USER = /^[\x21-\x7e]{1,128}$/
/** The limit for a user with its user agent, which may contain spaces and be as long as headers (16 KiB). */
const MAX_KEY_LENGTH = 16 * 1024
/** Enough for a page; the proxies' own API has all. */
const MAX_ENTRIES = 100
/** The proxies guarantee one second; three times that is a fault to report. */
const CONFIRM_MS = 3_000
const CONFIRM_AGAIN_MS = 100
const NOT_CONFIRMED = 'not_confirmed'

/** Shows the proxies of the token cache next to each other, and the state that they share. */
export class LiveTokenCache {
  readonly #proxies: readonly { readonly url: string; readonly ask: AskPeer }[]
  readonly #balancer: AxiosInstance

  constructor({
    tokenCacheProxyUrls,
    tokenCacheUrl,
  }: { tokenCacheProxyUrls: readonly string[]; tokenCacheUrl: string }) {
    this.#proxies = tokenCacheProxyUrls.map((url, index) => ({
      url,
      ask: askPeer(`token-cache-proxy${index + 1}`, url),
    }))
    this.#balancer = createPeerClient({ peer: 'token-cache-load-balancer', baseUrl: tokenCacheUrl })
  }

  /** An unavailable node is shown as such; it is an error only if all are. */
  async show() {
    const nodes = await Promise.all(
      this.#proxies.map(async ({ url, ask }) => {
        try {
          return { url, status: await ask<{ name: string }>('/status') }
        } catch (error) {
          return { url, failure: (error as Error).message }
        }
      }),
    )
    // A node that has not sent its status would also not respond to this, after another timeout.
    const present = this.#proxies.filter((_, index) => nodes[index]?.status !== undefined)
    const all = await this.#first(
      (ask) => ask<Record<string, string>>(KEYVALS),
      present.length > 0 ? present : this.#proxies,
    )
    const entries = Object.entries(all).slice(0, MAX_ENTRIES)
    return { now: Date.now(), nodes, entries: entries.map(([key, value]) => ({ key, value })) }
  }

  /**
   * Sends a request of a user through the balancer, so that the view has something to show. A blocked user is a result
   * too; any other failure is an error.
   * @throws {HttpError} 400 for an invalid user, 502 naming the balancer
   */
  async visit(user: unknown): Promise<{ status: number }> {
    const headers = { 'remote-user': userOf(user), 'user-agent': EXPLORER_AGENT }
    const { status, data } = await this.#balancer.get<string>('/', { headers, responseType: 'text' })
    if (status >= 400 && status !== 403)
      throw unexpectedAnswer('token-cache-load-balancer', status, data.slice(0, 200))
    return { status }
  }

  /**
   * Blocks a user, with all user agents.
   * @throws {HttpError} 504 if a proxy has not confirmed it in time
   */
  async block(user: unknown): Promise<void> {
    const name = userOf(user)
    await this.#first(async (ask) => {
      const { key, blocked } = await statusOf(name, ask)
      await ask(KEYVALS, { method: blocked ? 'PATCH' : 'POST', body: { [key]: '0' } })
      await this.#untilAllAgree(ask)
    })
  }

  /**
   * Removes the block of a user.
   * @throws {HttpError} 409 if the user is not blocked, 504 if a proxy has not confirmed it in time
   */
  async unblock(user: unknown): Promise<void> {
    const name = userOf(user)
    await this.#first(async (ask) => {
      const { key, blocked } = await statusOf(name, ask)
      if (!blocked) throw new HttpError(409, 'not_blocked', `${name} is not blocked.`)
      await ask(KEYVALS, { method: 'PATCH', body: { [key]: null } })
      await this.#untilAllAgree(ask)
    })
  }

  /**
   * Unblocks an entry, or removes its token so that a new one is issued.
   * @throws {HttpError} 504 if a proxy has not confirmed it in time
   */
  async release(key: unknown): Promise<void> {
    const body = { [keyOf(key)]: null }
    await this.#first(async (ask) => {
      await ask(KEYVALS, { method: 'PATCH', body })
      await this.#untilAllAgree(ask)
    })
  }

  /** Returns the response of the first available node: they share one store. */
  async #first<T>(work: (ask: AskPeer) => Promise<T>, proxies = this.#proxies): Promise<T> {
    let last: unknown
    for (const { ask } of proxies) {
      try {
        return await work(ask)
      } catch (error) {
        // Another proxy would return the same.
        if (error instanceof HttpError && (error.status < 500 || error.code === NOT_CONFIRMED)) throw error
        last = error
      }
    }
    throw last
  }

  /**
   * Waits until every proxy has the same blocks as the called one, because only then is a change effective everywhere.
   * Includes every configured proxy and every one that the called proxy knows.
   */
  async #untilAllAgree(ask: AskPeer): Promise<void> {
    const deadline = performance.now() + CONFIRM_MS
    for (;;) {
      const [{ name, peers, absent }, silent] = await Promise.all([
        ask<ProxyStatus>('/status'),
        this.#silentExcept(ask),
      ])
      const own = peers.find((peer) => peer.name === name)?.blocks.fingerprint
      const others = peers.filter(({ blocks }) => blocks.fingerprint !== own).map((peer) => peer.name)
      const missing = [...others, ...absent, ...silent]
      if (own !== undefined && missing.length === 0) return
      if (performance.now() > deadline)
        throw new HttpError(
          504,
          NOT_CONFIRMED,
          `${name} made the change, but ${missing.join(', ') || 'the other proxies'} did not confirm it within ${CONFIRM_MS / 1000} s.`,
        )
      await pause(CONFIRM_AGAIN_MS)
    }
  }

  /** Returns the URLs of the configured proxies that do not respond; only a proxy's response would contain its name. */
  async #silentExcept(asked: AskPeer): Promise<string[]> {
    const answers = await Promise.all(
      this.#proxies.map(({ url, ask }) =>
        ask === asked
          ? undefined
          : ask('/status').then(
              () => undefined,
              () => url,
            ),
      ),
    )
    return answers.filter((url) => url !== undefined)
  }
}

const statusOf = (user: string, ask: AskPeer) =>
  ask<{ key: string; blocked: boolean }>(`/status/users/${encodeURIComponent(user)}`)

function userOf(value: unknown): string {
  if (typeof value !== 'string' || !USER.test(value))
    throw badRequest('invalid_user', 'A user has 1 to 128 visible ASCII characters and no spaces.')
  return value
}

interface ProxyStatus {
  readonly name: string
  readonly peers: readonly { readonly name: string; readonly blocks: { readonly fingerprint: string } }[]
  /** Recent peers that no longer respond. */
  readonly absent: readonly string[]
}

function keyOf(value: unknown): string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > MAX_KEY_LENGTH)
    throw badRequest(
      'invalid_key',
      'Set key to a user, or to a user and its user agent, for example user1:curl/7.86.0.',
    )
  return value
}
