import { EventEmitter } from 'node:events'
import { callAfter } from '@hallpass/untrusted/timers'
import type { Clock } from '../clock.ts'
import { GrpcError, status } from '../grpc/index.ts'
import { explain, type Watcher } from '../workload-api/index.ts'

/**
 * The states of a subscription:
 * - `waiting`: no response yet; the first update leads to `current`.
 * - `current`: a value is available and up to date, as far as is known.
 * - `stale`: a value is available, but the server is unreachable; the next update leads to `current`.
 * - `withdrawn`: the server has no identity for this workload; an update leads to `current`.
 * - `failed`: the server returned an error after which the standard forbids retries. Final.
 * - `closed`: closed by its owner. Final.
 */
export type SubscriptionState = 'waiting' | 'current' | 'stale' | 'withdrawn' | 'failed' | 'closed'

export type SourceErrorCode = 'not_ready' | 'withdrawn' | 'failed' | 'closed' | 'svid_expired' | 'stale'

/** Reports a source without a value; `code` is stable, `cause` is the last failure. */
export class SourceError extends Error {
  readonly code: SourceErrorCode
  /** The number of failed attempts since the last response. */
  readonly attempts: number
  /** The most likely cause. */
  readonly hint: string | undefined

  constructor(code: SourceErrorCode, message: string, details: Partial<SourceErrorDetails> = {}) {
    super(message, { cause: details.cause })
    this.name = 'SourceError'
    this.code = code
    this.attempts = details.attempts ?? 0
    this.hint = details.hint
  }
}

interface SourceErrorDetails {
  readonly attempts: number
  readonly hint: string | undefined
  readonly cause: unknown
}

export interface SourceHealth {
  readonly state: SubscriptionState
  /** When the last response arrived, in milliseconds since the epoch. */
  readonly updatedAt: number | undefined
  /** Failed attempts since then. */
  readonly attempts: number
  readonly lastError: Error | undefined
}

export interface SubscriptionOptions<T> {
  /** Prefix of the errors: `x509source`. */
  readonly name: string
  readonly clock: Clock
  readonly watch: (watcher: Watcher<T>, signal: AbortSignal) => Promise<void>
  readonly equals: (a: T, b: T) => boolean
}

export interface ReadyOptions {
  readonly timeoutMs?: number
  /** Rejects with the first failure instead of waiting for a later attempt to succeed. */
  readonly failFast?: boolean
  readonly signal?: AbortSignal
}

const DEFAULT_READY_TIMEOUT_MS = 30_000

interface SubscriptionEvents<T> {
  /** The value has changed; an equal response emits no update. */
  update: [T]
  withdraw: [Error]
  failure: [Error]
  /** Failed or closed: no more updates follow. */
  end: []
}

/** Holds the newest value of a watch, and its health. */
export class Subscription<T> extends EventEmitter<SubscriptionEvents<T>> {
  readonly #options: SubscriptionOptions<T>
  readonly #stop = new AbortController()
  #state: SubscriptionState = 'waiting'
  #value: T | undefined
  #updatedAt: number | undefined
  #attempts = 0
  #lastError: Error | undefined

  constructor(options: SubscriptionOptions<T>) {
    super()
    this.setMaxListeners(0) // Any number of callers can wait in ready().
    this.#options = options
    const watcher: Watcher<T> = {
      onUpdate: (update) => this.#onUpdate(update),
      onError: (error) => this.#onError(error),
    }
    options.watch(watcher, this.#stop.signal).catch((error: Error) => this.#onEnd(error))
  }

  /** @throws SourceError if no value is available */
  get(): T {
    if ((this.#state === 'current' || this.#state === 'stale') && this.#value !== undefined)
      return this.#value
    throw this.#nothing()
  }

  health(): SourceHealth {
    return {
      state: this.#state,
      updatedAt: this.#updatedAt,
      attempts: this.#attempts,
      lastError: this.#lastError,
    }
  }

  /**
   * Waits until a value is available.
   *
   * @throws SourceError `not_ready` after the timeout, with the last cause, or with `failFast` after the first failure;
   *   `failed` or `closed` immediately
   */
  async ready(options: ReadyOptions = {}): Promise<void> {
    const { timeoutMs = DEFAULT_READY_TIMEOUT_MS, failFast = false, signal } = options
    signal?.throwIfAborted()
    if (this.#state === 'current' || this.#state === 'stale') return
    if (this.#state === 'failed' || this.#state === 'closed') throw this.#nothing()
    if (failFast && this.#lastError) throw this.#nothing()
    await new Promise<void>((resolve, reject) => {
      const settle = (finish: () => void) => {
        cancel()
        this.off('update', onUpdate)
        this.off('end', onEnd)
        this.off('failure', onFailure)
        signal?.removeEventListener('abort', onAbort)
        finish()
      }
      const onUpdate = () => settle(resolve)
      const onEnd = () => settle(() => reject(this.#nothing()))
      const onFailure = () => settle(() => reject(this.#nothing()))
      const onAbort = () => settle(() => reject(signal?.reason))
      const cancel = callAfter(timeoutMs, () => settle(() => reject(this.#timedOut())), { keepAlive: true })
      this.on('update', onUpdate)
      this.on('end', onEnd)
      if (failFast) this.on('failure', onFailure)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  close(): void {
    this.#state = 'closed'
    this.#value = undefined
    this.#stop.abort()
    this.emit('end')
  }

  #onUpdate(update: T): void {
    if (this.#state === 'closed') return
    const changed = this.#value === undefined || !this.#options.equals(this.#value, update)
    this.#state = 'current'
    this.#updatedAt = this.#options.clock()
    this.#attempts = 0
    this.#lastError = undefined
    this.#value = update
    if (changed) this.emit('update', update)
  }

  #onError(error: Error): void {
    if (this.#state === 'closed') return
    this.#attempts += 1
    this.#lastError = error
    // Workload API §5.2.1: a rejected workload must stop using its previous SVIDs.
    if (error instanceof GrpcError && error.code === status.permissionDenied) {
      const had = this.#value !== undefined
      this.#value = undefined
      if (this.#state !== 'waiting') this.#state = 'withdrawn'
      if (had) this.emit('withdraw', error)
    } else if (this.#state === 'current' && error instanceof GrpcError) this.#state = 'stale'
    this.emit('failure', error)
  }

  #onEnd(error: Error): void {
    if (this.#state === 'closed') return
    this.#attempts += 1
    this.#lastError = error
    this.#state = 'failed'
    this.#value = undefined
    this.emit('failure', error)
    this.emit('end')
  }

  #nothing(): SourceError {
    const { name } = this.#options
    const said = this.#lastError?.message ?? 'no response yet'
    const details = { attempts: this.#attempts, hint: explain(this.#lastError), cause: this.#lastError }
    if (this.#state === 'closed') return new SourceError('closed', `${name}: source is closed`)
    if (this.#state === 'failed') return new SourceError('failed', said, details)
    if (this.#state === 'withdrawn')
      return new SourceError('withdrawn', `${name}: the identity was withdrawn: ${said}`, details)
    return new SourceError('not_ready', `${name}: not ready: ${said}`, details)
  }

  /** Other libraries report only "context deadline exceeded"; this adds the last failure and a hint. */
  #timedOut(): SourceError {
    const hint = explain(this.#lastError)
    const last = this.#lastError
      ? `${this.#attempts} attempts, the last one: ${this.#lastError.message}`
      : 'the server has not answered'
    return new SourceError('not_ready', `context deadline exceeded: ${last} (${hint})`, {
      attempts: this.#attempts,
      hint,
      cause: this.#lastError,
    })
  }
}
