import { readJson } from '@hallpass/untrusted/json'
import { cutTokens } from './log.ts'

/** A check that a verifier made, with the rule of the standard that requires it. */
export interface HopCheck {
  readonly name: string
  readonly passed: boolean
  readonly rule: string
  readonly detail?: string
}

/** The parts of a token that may be shown: header and claims, never the signature. */
export interface ShownToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/**
 * What a service reports about one step of a request: that it received the request, called a peer or verified a token;
 * and of a stream, that it received an event from `peer` (`path` is the event's name, `answerBody` its data).
 */
export interface HopEvent {
  readonly kind: 'request' | 'call' | 'verification' | 'event'
  readonly traceId: string
  /** A `request` has the `spanId` of its service's hop, and as `parentId` that of the `call` that caused it. */
  readonly spanId: string
  readonly parentId: string | undefined
  /** The service that reports the hop. */
  readonly service: string
  /** The service that it called. */
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
  /** Why a request or its token was rejected, or a call failed: stable and machine-readable. */
  readonly reason?: string
  readonly message?: string
  /** At most 2 KiB, with tokens removed. */
  readonly requestBody?: string
  readonly answerBody?: string
}

/** Takes an event and returns immediately. It may drop events, and never fails the request that they report. */
export type HopPublisher = (event: HopEvent) => void

let publisher: HopPublisher | undefined

/** Sets the publisher of this process's hops; by default there is none. */
export function publishHopsTo(next: HopPublisher | undefined): void {
  publisher = next
}

export const hopsAreWanted = (): boolean => publisher !== undefined

export function publishHop(event: HopEvent): void {
  publisher?.(event)
}

/** The length to which a path or a query is truncated for display. */
const MAX_SHOWN_PATH = 256

/**
 * Returns the path of a request with those parameters of its query that its service has declared harmless. A query may
 * contain a credential, so every other parameter is omitted.
 */
export function shownPath(url: string, parameters: readonly string[]): string {
  const [path = '', query = ''] = url.split('?', 2)
  const shown = [...new URLSearchParams(query)].filter(([name]) => parameters.includes(name))
  if (shown.length === 0) return path.slice(0, MAX_SHOWN_PATH)
  const text = shown.map(([name, value]) => `${name}=${encodeURIComponent(cutTokens(value))}`).join('&')
  return `${path.slice(0, MAX_SHOWN_PATH)}?${text.slice(0, MAX_SHOWN_PATH)}`
}

const MAX_SHOWN_BODY = 2 * 1024

/** Returns a body in the form that may be shown. */
export function shownBody(body: unknown): string | undefined {
  if (body === undefined || body === null || body === '') return undefined
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return cutTokens(text.slice(0, 4 * MAX_SHOWN_BODY)).slice(0, MAX_SHOWN_BODY)
}

/**
 * Returns the token of an `Authorization` header in the form that may be shown; `undefined` if it cannot be read. Takes
 * any value: what is shown is also what a verifier has yet to reject.
 */
export function shownToken(authorization: unknown): ShownToken | undefined {
  if (typeof authorization !== 'string') return undefined
  const [header, claims] = authorization.replace(/^bearer +/i, '').split('.', 2)
  if (header === undefined || claims === undefined) return undefined
  try {
    return { header: decode(header), claims: decode(claims) }
  } catch {
    return undefined
  }
}

function decode(part: string): Record<string, unknown> {
  const value = readJson(Buffer.from(part, 'base64url').toString())
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('A part of a token must be an object.')
  return value as Record<string, unknown>
}
