import { readJson } from '@hallpass/untrusted/json'
import { cutTokens } from './log.ts'

/** One check that a verifier made, with the rule of the standard that asks for it. */
export interface HopCheck {
  readonly name: string
  readonly passed: boolean
  readonly rule: string
  readonly detail?: string
}

/** A token as it may be shown: header and claims, never the signature. */
export interface ShownToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/**
 * What a service tells about one step of a request: that it took it, that it called a peer, that it verified a token;
 * and of a stream, that an event of `peer` has reached it (`path` is the event's name, `answerBody` its data).
 */
export interface HopEvent {
  readonly kind: 'request' | 'call' | 'verification' | 'event'
  readonly traceId: string
  /** A `request` has the `spanId` of its service's hop and the `call` that caused it as `parentId`. */
  readonly spanId: string
  readonly parentId: string | undefined
  /** Who tells. */
  readonly service: string
  /** Whom it called. */
  readonly peer?: string
  readonly method?: string
  readonly path?: string
  readonly status?: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly durationMs: number
  readonly token?: ShownToken
  readonly checks?: readonly HopCheck[]
  readonly verdict?: 'accepted' | 'refused'
  /** Why a request or its token was refused, or a call failed: stable and machine-readable. */
  readonly reason?: string
  readonly message?: string
  /** At most 2 KiB, tokens cut. */
  readonly requestBody?: string
  readonly answerBody?: string
}

/** Takes events and returns at once; it may drop them, and never fails the request that they tell of. */
export type HopPublisher = (event: HopEvent) => void

let publisher: HopPublisher | undefined

/** Who hears of hops in this process; nobody by default. */
export function publishHopsTo(next: HopPublisher | undefined): void {
  publisher = next
}

export const hopsAreWanted = (): boolean => publisher !== undefined

export function publishHop(event: HopEvent): void {
  publisher?.(event)
}

/** As much of a path, or of a query, as a line of a picture has room for. */
const MAX_SHOWN_PATH = 256

/**
 * Returns the path of a request with those parameters of its query that its service knows to be harmless. A query may
 * hold a credential, so every other parameter is left out.
 */
export function shownPath(url: string, parameters: readonly string[]): string {
  const [path = '', query = ''] = url.split('?', 2)
  const shown = [...new URLSearchParams(query)].filter(([name]) => parameters.includes(name))
  if (shown.length === 0) return path.slice(0, MAX_SHOWN_PATH)
  const text = shown.map(([name, value]) => `${name}=${encodeURIComponent(cutTokens(value))}`).join('&')
  return `${path.slice(0, MAX_SHOWN_PATH)}?${text.slice(0, MAX_SHOWN_PATH)}`
}

const MAX_SHOWN_BODY = 2 * 1024

/** A body as it may be shown. */
export function shownBody(body: unknown): string | undefined {
  if (body === undefined || body === null || body === '') return undefined
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return cutTokens(text.slice(0, 4 * MAX_SHOWN_BODY)).slice(0, MAX_SHOWN_BODY)
}

/** The token of an `Authorization` header as it may be shown; `undefined` when there is none that can be read. */
export function shownToken(authorization: string | undefined): ShownToken | undefined {
  const [header, claims] = authorization?.replace(/^bearer +/i, '').split('.', 2) ?? []
  if (header === undefined || claims === undefined) return undefined
  try {
    return { header: decode(header), claims: decode(claims) }
  } catch {
    return undefined
  }
}

const decode = (part: string) =>
  readJson(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
