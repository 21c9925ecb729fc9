import type { Logger, Warnings } from '../observation/index.ts'

/** A key of a published set that a verifier leaves out, as `packages/tokens` describes it. */
export interface LeftOutKey {
  /** Its position in the set, from 0. */
  readonly index: number
  readonly kid?: string
  readonly reason: string
  readonly message: string
}

/** Receives the keys that are left out of a set, whenever they change; an empty list if all can be used. */
export type OnUnusable = (unusable: readonly LeftOutKey[]) => void

/** A key for another purpose, e.g. encryption, is not a fault of the issuer: Keycloak publishes one beside each signing key. */
const NO_FAULT = 'other_purpose'
/** As many as an error of `packages/tokens` describes: all of 100 would fill a log line. */
const MAX_DESCRIBED = 5
/** Sources of keys; a service trusts a handful, a file of trusted callers some hundred. */
const MAX_SOURCES = 1_000

/**
 * Tells the operator which published keys a service's verifiers leave out: tokens that are signed with them are rejected, and
 * nothing else would name the cause. So are those of a new key while a set cannot be loaded and the last one stays in use. Each problem is
 * logged once, and again when it changes; `/readyz` shows those of now.
 */
export class UnusableKeys {
  readonly #log: Logger
  /** By source. */
  readonly #described = new Map<string, string>()
  /** Why the keys of a source cannot be loaded. */
  readonly #failures = new Map<string, string>()

  constructor(log: Logger) {
    this.#log = log
  }

  /**
   * Returns the receiver for one source of keys. Several verifiers of one source share what was logged.
   * @param source where the keys come from: the issuer, and the file or URL if it is configured
   */
  of(source: string): OnUnusable {
    return (unusable) => {
      const faulty = unusable.filter(({ reason }) => reason !== NO_FAULT)
      const text = describe(faulty)
      if (text === this.#described.get(source)) return
      if (text === undefined) {
        this.#described.delete(source)
        this.#log.info({ keysOf: source }, 'all published keys can be used again')
        return
      }
      if (this.#described.size < MAX_SOURCES || this.#described.has(source)) this.#described.set(source, text)
      this.#log.warn({ keysOf: source, leftOut: text }, 'published keys left out: they cannot be used')
    }
  }

  /** Returns the receiver of failures to load the keys of a source: of the error, or of undefined once they are loaded. */
  failureOf(source: string): (failure: unknown) => void {
    return (failure) => {
      const text = failure === undefined ? undefined : String((failure as Error).message ?? failure)
      if (text === this.#failures.get(source)) return
      if (text === undefined) {
        this.#failures.delete(source)
        this.#log.info({ keysOf: source }, 'published keys are loaded again')
        return
      }
      if (this.#failures.size < MAX_SOURCES || this.#failures.has(source)) this.#failures.set(source, text)
      this.#log.warn({ keysOf: source, reason: text }, 'published keys cannot be loaded')
    }
  }

  /** For the `warnings` of the service. */
  readonly warnings: Warnings = {
    'published keys': () => {
      const all = [
        ...[...this.#failures].map(([source, text]) => `Keys of ${source} cannot be loaded: ${text}`),
        ...[...this.#described].map(([source, text]) => `Keys of ${source} are left out: ${text}`),
      ]
      return all.length === 0 ? undefined : all.join(' ')
    },
  }
}

/** Returns e.g. `key 2 ("kid"): …; key 3: …; and 3 more.`; undefined if there are none. */
function describe(unusable: readonly LeftOutKey[]): string | undefined {
  if (unusable.length === 0) return undefined
  const shown = unusable.slice(0, MAX_DESCRIBED).map(({ index, kid, message }) => {
    const named = kid === undefined ? '' : ` (${JSON.stringify(kid)})`
    return `key ${index + 1}${named}: ${message.replace(/\.$/, '')}`
  })
  const more = unusable.length - shown.length
  return `${[...shown, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')}.`
}
