import type { IncomingMessage } from 'node:http'
import type { Clock } from '@hallpass/service-kit'
import type { Cookies } from './cookies.ts'
import type { SessionStore } from './session-store.ts'
import { accessSummary, validAccessToken } from './session-tokens.ts'
import type { TokenRenewal } from './token-renewal.ts'
import { stranger, type Visitor, type VisitorSource } from './visitor.ts'

export interface SessionVisitorsParts {
  readonly sessions: SessionStore
  readonly renewal: TokenRenewal
  readonly cookies: Cookies
  readonly clock: Clock
}

/** Identifies visitors by the sessions of this service. */
export class SessionVisitors implements VisitorSource {
  readonly #parts: SessionVisitorsParts
  /** Several handlers of one request identify its visitor, which may take a while. */
  readonly #identified = new WeakMap<IncomingMessage, Promise<Visitor>>()

  constructor(parts: SessionVisitorsParts) {
    this.#parts = parts
  }

  identify(request: IncomingMessage): Promise<Visitor> {
    const identified = this.#identified.get(request) ?? this.#identify(request)
    this.#identified.set(request, identified)
    return identified
  }

  async #identify(request: IncomingMessage): Promise<Visitor> {
    const { sessions, renewal, cookies, clock } = this.#parts
    const id = cookies.read(request, 'session')
    const found = await sessions.find(id)
    if (id === undefined || !found) return stranger
    // Renewed before the page is rendered, so that it shows an ended session as ended.
    const session = await renewal.current(id, found)
    if (!session) return stranger
    return {
      user: session.user,
      formToken: session.formToken,
      accessToken: async () => validAccessToken(session.tokens, clock()),
      access: accessSummary(session.tokens, clock()),
    }
  }
}
