import { badRequest, createPeerCaller, type PeerCaller, unexpectedAnswer } from '@hallpass/service-kit'
import { EXPLORER_AGENT } from '../explorer/scenario-runner.ts'
import { type AskPeer, askPeer } from './ask-peer.ts'

const KEYVALS = '/api/8/http/keyvals/tokens'
/** A user, as the header `remote-user` can carry it. */
const USER = /^[\x21-\x7e]{1,128}$/
/** A user with the agent that it uses, which may have spaces and is as long as headers are (16 KiB); the proxies decide. */
const MAX_KEY_LENGTH = 16 * 1024
/** What a reader of the page wants to look at; the proxies' own API has all. */
const MAX_ENTRIES = 100

/** The two proxies of the token cache, side by side, and what they share. */
export class LiveTokenCache {
  readonly #proxies: readonly { readonly url: string; readonly ask: AskPeer }[]
  readonly #balancer: PeerCaller

  constructor({
    tokenCacheProxyUrls,
    tokenCacheUrl,
  }: { tokenCacheProxyUrls: readonly string[]; tokenCacheUrl: string }) {
    this.#proxies = tokenCacheProxyUrls.map((url, index) => ({
      url,
      ask: askPeer(`token-cache-proxy${index + 1}`, url),
    }))
    this.#balancer = createPeerCaller({ peer: 'token-cache-load-balancer', baseUrl: tokenCacheUrl })
  }

  /** A node that is away is shown as such; it is an error only when all are. */
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
    // One that has not said its status would not answer this either, and be waited for again.
    const present = this.#proxies.filter((_, index) => nodes[index]?.status !== undefined)
    const all = await this.#first(
      (ask) => ask<Record<string, string>>(KEYVALS),
      present.length > 0 ? present : this.#proxies,
    )
    const entries = Object.entries(all).slice(0, MAX_ENTRIES)
    return { now: Date.now(), nodes, entries: entries.map(([key, value]) => ({ key, value })) }
  }

  /**
   * Sends a request in the name of a user through the balancer, so that there is something to see. That a user is
   * blocked is something to see, too; any other failure is an error.
   * @throws {HttpError} 400 for what cannot be a user, 502 naming the balancer.
   */
  async visit(user: unknown): Promise<{ status: number }> {
    if (typeof user !== 'string' || !USER.test(user))
      throw badRequest('invalid_user', 'A user has 1 to 128 visible ASCII characters and no space.')
    const headers = { 'remote-user': user, 'user-agent': EXPLORER_AGENT }
    const { status, text } = await this.#balancer({ method: 'GET', path: '/', headers })
    if (status >= 400 && status !== 403)
      throw unexpectedAnswer('token-cache-load-balancer', status, text.slice(0, 200))
    return { status }
  }

  async block(key: unknown): Promise<void> {
    const name = keyOf(key)
    const body = JSON.stringify({ [name]: '0' })
    await this.#first(async (ask) => {
      // An entry that is there is changed, a key without one is added.
      const known = Object.hasOwn(await ask<Record<string, string>>(KEYVALS), name)
      await ask(KEYVALS, { method: known ? 'PATCH' : 'POST', body })
    })
  }

  /** Lifts a block, or lets a token be made anew. */
  async release(key: unknown): Promise<void> {
    const body = JSON.stringify({ [keyOf(key)]: null })
    await this.#first((ask) => ask(KEYVALS, { method: 'PATCH', body }))
  }

  /** What the first node that is there answers: they share one store. */
  async #first<T>(work: (ask: AskPeer) => Promise<T>, proxies = this.#proxies): Promise<T> {
    let last: unknown
    for (const { ask } of proxies) {
      try {
        return await work(ask)
      } catch (error) {
        last = error
      }
    }
    throw last
  }
}

function keyOf(value: unknown): string {
  if (typeof value !== 'string' || value.trim() === '' || value.length > MAX_KEY_LENGTH)
    throw badRequest('invalid_key', 'A key is a user, or a user and its agent, as in user1:curl/7.86.0.')
  return value
}
