import { randomBytes } from 'node:crypto'
import { HttpError, type Logger } from '@hallpass/service-kit'
import type { Redis } from 'ioredis'
import * as z from 'zod'
import type { Grant, Revocation, Revocations } from '../admission/index.ts'

export interface GatewayPeersOptions {
  /** `redis://` or `rediss://`, with credentials if needed. Any client that can write to this Redis is trusted as a gateway. */
  readonly url: string
  /** PEM of the only CA that is trusted for TLS. Default: the system's CAs. */
  readonly ca?: string
  readonly log: Logger
  readonly revocations: Revocations
  /** How long a revocation is stored for gateways that start later. */
  readonly keepMs: number
  /** Extends a stream of this gateway, and returns whether it exists. */
  readonly reauthorize: (handle: string, path: string, grant: Grant) => boolean
}

/** The longest that a revocation or a challenge response waits for Redis or another gateway. */
const ANSWER_TIMEOUT_MS = 1_500
/** The delay before the next connection attempt: 25 ms at first, doubling up to one second. */
const backOff = (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 6), 1_000)
/** Long enough to be unique among gateways, short enough for a handle. */
const NODE_BYTES = 6

/**
 * How often the gateways check whether Redis was emptied or failed over without data, and write revocations back. An
 * unresponsive Redis is detected within this time plus the timeout.
 */
const KEPT_CHECK_MS = 1_000

const PREFIX = 'hallpass:sse-gateway'
const REVOKED = `${PREFIX}:revoked`
const REVOCATIONS = `${PREFIX}:revocations`
const nodeChannel = (node: string) => `${PREFIX}:node:${node}`

const revocationMessage = z.strictObject({
  kind: z.enum(['jti', 'sub', 'session']),
  value: z.string(),
  issuer: z.string().optional(),
  revokedAt: z.number(),
})
const grantMessage = z.object({
  issuer: z.string(),
  subject: z.string().optional(),
  /** JSON has no Infinity. */
  expiresAt: z.number().nullable(),
  roles: z.array(z.string()),
  jti: z.string().optional(),
  session: z.string().optional(),
  tokenId: z.string(),
  issuedAt: z.number().optional(),
})
const nodeMessage = z.union([
  z.strictObject({
    ask: z.string(),
    from: z.string(),
    handle: z.string(),
    path: z.string(),
    grant: grantMessage,
  }),
  z.strictObject({ answer: z.string(), extended: z.boolean() }),
])

/**
 * Communicates with the other gateways through Redis: sends revocations to all of them, and a challenge response to the
 * one that has the stream. Tokens are never sent, only the grant of a token that the sending gateway has verified.
 */
export class GatewayPeers {
  /** The prefix of every handle that this gateway issues. */
  readonly node = randomBytes(NODE_BYTES).toString('base64url')
  readonly #options: GatewayPeersOptions
  #commands!: Redis
  #messages!: Redis
  readonly #asked = new Map<string, (extended: boolean) => void>()
  #loaded = false
  #keptCheck: NodeJS.Timeout | undefined

  constructor(options: GatewayPeersOptions) {
    this.#options = options
  }

  /** Connects. If Redis is unavailable, the gateway still starts, is not ready, and connects later. */
  async start(): Promise<void> {
    await this.#open()
    await Promise.allSettled([this.#commands.connect(), this.#messages.connect()])
    await this.#load()
    this.#keptCheck = setInterval(() => void this.#checkKept(), KEPT_CHECK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#keptCheck)
    this.#commands?.disconnect()
    this.#messages?.disconnect()
  }

  /** @throws {Error} while the other gateways' revocations are unknown. */
  check(): void {
    if (!this.#loaded) throw new Error('Redis is not connected, so revocations are unknown.')
  }

  /**
   * Revokes on all gateways.
   * @throws {HttpError} 503 if the revocation took effect only on this gateway.
   */
  async revoke(revocation: Revocation): Promise<void> {
    const { revocations, keepMs } = this.#options
    revocations.add(revocation)
    const text = JSON.stringify(revocation)
    try {
      await this.#commands
        .multi()
        .zadd(REVOKED, revocation.revokedAt, text)
        .zremrangebyscore(REVOKED, '-inf', revocation.revokedAt - keepMs)
        .publish(REVOCATIONS, text)
        .exec()
    } catch (cause) {
      throw new HttpError(503, 'peers_not_told', 'The revocation did not reach the other gateways. Retry.', {
        cause,
        headers: { 'retry-after': '1' },
      })
    }
  }

  /**
   * Extends a stream of another gateway, and returns whether it exists.
   * @throws {HttpError} 503 if that gateway is unreachable or does not answer.
   */
  async reauthorize(handle: string, path: string, grant: Grant): Promise<boolean> {
    const node = handle.split('.', 1)[0] ?? ''
    if (node === this.node || !/^[\w-]{8}$/.test(node)) return false
    const ask = randomBytes(NODE_BYTES).toString('base64url')
    const answered = new Promise<boolean>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), ANSWER_TIMEOUT_MS)
      this.#asked.set(ask, (extended) => {
        clearTimeout(timer)
        resolve(extended)
      })
    })
    answered.catch(() => {})
    try {
      const text = JSON.stringify({ ask, from: this.node, handle, path, grant })
      const receivers = await this.#commands.publish(nodeChannel(node), text)
      // Without subscribers, the gateway has stopped, and its streams are closed.
      return receivers === 0 ? false : await answered
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
      // Messages sent while disconnected are lost, so every reconnect loads the stored revocations again.
      connection.on('ready', () => void this.#load())
      connection.on('close', () => {
        this.#loaded = false
        this.#options.log.warn('redis disconnected')
      })
    }
    this.#messages.on('message', (channel: string, text: string) => this.#take(channel, text))
  }

  get #connected(): boolean {
    return this.#commands.status === 'ready' && this.#messages.status === 'ready'
  }

  async #load(): Promise<void> {
    if (!this.#connected) return
    const { log, revocations } = this.#options
    try {
      await this.#messages.subscribe(REVOCATIONS, nodeChannel(this.node))
      for (const text of await this.#commands.zrange(REVOKED, '0', '-1')) {
        const parsed = revocationMessage.safeParse(parseJson(text))
        if (parsed.success) revocations.add(parsed.data)
      }
      await this.#writeBack()
      // If a connection has closed meanwhile, its reconnect loads again.
      if (!this.#connected) return
      this.#loaded = true
      log.info('redis connected')
    } catch (err) {
      log.warn({ err }, 'could not load revocations')
      if (this.#connected) setTimeout(() => void this.#load(), 500).unref()
    }
  }

  /** Writes revocations back if Redis has fewer than this gateway: every gateway knows all of them, so some were lost. */
  async #checkKept(): Promise<void> {
    if (!this.#loaded) return
    try {
      const [kept] = await Promise.all([this.#commands.zcard(REVOKED), this.#messages.ping()])
      if (kept >= this.#options.revocations.current.length) return
      await this.#writeBack()
      this.#options.log.warn('redis had lost revocations; wrote them back')
    } catch (err) {
      this.#options.log.debug({ err }, 'could not check stored revocations')
    }
  }

  async #writeBack(): Promise<void> {
    const pairs = this.#options.revocations.current.flatMap((one) => [one.revokedAt, JSON.stringify(one)])
    if (pairs.length > 0) await this.#commands.zadd(REVOKED, ...pairs)
  }

  #take(channel: string, text: string) {
    const json = parseJson(text)
    if (channel === REVOCATIONS) {
      const parsed = revocationMessage.safeParse(json)
      if (parsed.success) this.#options.revocations.add(parsed.data)
      return
    }
    const parsed = nodeMessage.safeParse(json)
    if (!parsed.success) return
    if ('answer' in parsed.data) return this.#asked.get(parsed.data.answer)?.(parsed.data.extended)
    const { ask, from, handle, path, grant } = parsed.data
    const { subject, jti, session, issuedAt } = grant
    const expiresAt = grant.expiresAt ?? Number.POSITIVE_INFINITY
    const extended = this.#options.reauthorize(handle, path, {
      ...grant,
      subject,
      jti,
      session,
      issuedAt,
      expiresAt,
    })
    this.#commands
      .publish(nodeChannel(from), JSON.stringify({ answer: ask, extended }))
      .catch((err: unknown) => this.#options.log.warn({ err }, 'could not answer another gateway'))
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
