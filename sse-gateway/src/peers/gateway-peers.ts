import { randomBytes } from 'node:crypto'
import type { Extension } from '@hallpass/guarded-stream'
import { type Clock, HttpError, type Logger } from '@hallpass/service-kit'
import type { Redis } from 'ioredis'
import { type Grant, ReceivedGrants } from '../admission/index.ts'
import { nodeMessage, resultOf } from './messages.ts'

export interface GatewayPeersOptions {
  /** `redis://` or `rediss://`, with credentials if needed. Any client that can write to this Redis is trusted as a gateway. */
  readonly url: string
  /** PEM of the only CA that is trusted for TLS. Default: the system's CAs. */
  readonly ca?: string
  readonly log: Logger
  readonly clock: Clock
  /** Extends a stream of this gateway. */
  readonly reauthorize: (handle: string, path: string, grant: Grant) => Extension
  /** Called with each grant that another gateway may use from now on. */
  readonly onPassedOn: (grant: Grant) => void
}

/** The longest that a challenge response waits for Redis or another gateway. */
const ANSWER_TIMEOUT_MS = 1_500
/** The delay before the next connection attempt: 25 ms at first, doubling up to one second. */
const backOff = (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 6), 1_000)
/** Until the next attempt to subscribe on a working connection: rare, and a challenge leaves ten seconds. */
const RETRY_MS = 500
/** Long enough to be unique among gateways, short enough for a handle. */
const NODE_BYTES = 6

const PREFIX = 'hallpass:sse-gateway'
const nodeChannel = (node: string) => `${PREFIX}:node:${node}`

/**
 * Sends a challenge response through Redis to the gateway that has the stream. Tokens are never sent, only the grant of a
 * token that the sending gateway has verified.
 */
export class GatewayPeers {
  /** The prefix of every handle that this gateway issues. */
  readonly node = randomBytes(NODE_BYTES).toString('base64url')
  readonly #options: GatewayPeersOptions
  readonly #grants: ReceivedGrants
  #commands!: Redis
  #messages!: Redis
  readonly #asked = new Map<string, (result: Extension) => void>()
  #isSubscribed = false

  constructor(options: GatewayPeersOptions) {
    this.#options = options
    this.#grants = new ReceivedGrants(options.clock)
  }

  /** Connects. If Redis is unavailable, the gateway still starts, is not ready, and connects later. */
  async start(): Promise<void> {
    await this.#open()
    await Promise.allSettled([this.#commands.connect(), this.#messages.connect()])
    await this.#subscribe()
  }

  stop(): void {
    this.#commands?.disconnect()
    this.#messages?.disconnect()
  }

  /** @throws {Error} while no other gateway can be reached. */
  check(): void {
    if (!this.#isSubscribed) throw new Error('Redis is not connected, so other gateways are unreachable.')
  }

  /**
   * Extends a stream of another gateway.
   * @throws {HttpError} 503 if that gateway is unreachable or does not answer.
   */
  async reauthorize(handle: string, path: string, grant: Grant): Promise<Extension> {
    const node = handle.split('.', 1)[0] ?? ''
    if (node === this.node || !/^[\w-]{8}$/.test(node)) return UNKNOWN
    const ask = randomBytes(NODE_BYTES).toString('base64url')
    const answered = new Promise<Extension>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), ANSWER_TIMEOUT_MS)
      this.#asked.set(ask, (result) => {
        clearTimeout(timer)
        resolve(result)
      })
    })
    answered.catch(() => {})
    try {
      const text = JSON.stringify({ ask, from: this.node, handle, path, grant })
      const receivers = await this.#commands.publish(nodeChannel(node), text)
      // Without subscribers, the gateway has stopped, and its streams are closed.
      const result = receivers === 0 ? UNKNOWN : await answered
      if (result.outcome === 'extended') this.#options.onPassedOn(grant)
      return result
    } catch (cause) {
      throw new HttpError(503, 'peer_not_asked', 'The gateway that has the stream did not answer. Retry.', {
        cause,
        headers: { 'retry-after': '1' },
      })
    } finally {
      this.#asked.delete(ask)
    }
  }

  async #open() {
    // Imported on demand: it costs 5 MB and 20 ms, which a gateway without peers should not pay.
    const { Redis } = await import('ioredis')
    const { ca } = this.#options
    const shared = {
      ...(ca === undefined ? {} : { tls: { ca } }),
      lazyConnect: true,
      connectTimeout: ANSWER_TIMEOUT_MS,
      // Closes an unresponsive connection, so the gateway is not ready until Redis responds again.
      socketTimeout: ANSWER_TIMEOUT_MS,
      retryStrategy: backOff,
    }
    this.#commands = new Redis(this.#options.url, {
      ...shared,
      commandTimeout: ANSWER_TIMEOUT_MS,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
    })
    this.#messages = new Redis(this.#options.url, { ...shared, maxRetriesPerRequest: null })
    for (const connection of [this.#commands, this.#messages]) {
      connection.on('error', (err: Error) => this.#options.log.debug({ err }, 'redis connection failed'))
      connection.on('ready', () => void this.#subscribe())
      connection.on('close', () => {
        this.#isSubscribed = false
        this.#options.log.warn('redis disconnected')
      })
    }
    this.#messages.on('message', (_channel: string, text: string) => this.#take(text))
  }

  get #connected(): boolean {
    return this.#commands.status === 'ready' && this.#messages.status === 'ready'
  }

  async #subscribe(): Promise<void> {
    if (!this.#connected) return
    const { log } = this.#options
    try {
      await this.#messages.subscribe(nodeChannel(this.node))
      // If a connection has closed meanwhile, its reconnect subscribes again.
      if (!this.#connected) return
      this.#isSubscribed = true
      log.info('redis connected')
    } catch (err) {
      log.warn({ err }, 'could not subscribe to the other gateways')
      if (this.#connected) setTimeout(() => void this.#subscribe(), RETRY_MS).unref()
    }
  }

  #take(text: string) {
    const parsed = nodeMessage.safeParse(parseJson(text))
    if (!parsed.success) return
    if ('answer' in parsed.data) return this.#asked.get(parsed.data.answer)?.(resultOf(parsed.data))
    const { ask, from, handle, path, grant } = parsed.data
    const result = this.#options.reauthorize(handle, path, this.#grants.receive(path, grant))
    // A gateway of the previous version ignores the first message, and this one the second: it has its answer by then.
    const answers = [
      { answer: ask, result },
      { answer: ask, extended: result.outcome === 'extended' || result.outcome === 'not_extended' },
    ]
    Promise.all(answers.map((one) => this.#commands.publish(nodeChannel(from), JSON.stringify(one)))).catch(
      (err: unknown) => this.#options.log.warn({ err }, 'could not answer another gateway'),
    )
  }
}

const UNKNOWN: Extension = { outcome: 'unknown' }

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
