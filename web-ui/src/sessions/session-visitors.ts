import type { IncomingMessage } from 'node:http'
import { LoginRefused } from '../provider/index.ts'
import type { Cookies } from './cookies.ts'
import type { SessionStore } from './session-store.ts'
import { stranger, type Visitor, type VisitorSource } from './visitor.ts'

/** Identifies visitors by the sessions of this service. */
export class SessionVisitors implements VisitorSource {
  readonly #sessions: SessionStore
  readonly #cookies: Cookies

  constructor(sessions: SessionStore, cookies: Cookies) {
    this.#sessions = sessions
    this.#cookies = cookies
  }

  async identify(request: IncomingMessage): Promise<Visitor> {
    const id = this.#cookies.read(request, 'session')
    const session = this.#sessions.find(id)
    if (!session) return stranger
    const { user, formToken, tokens } = session
    const accessToken = async () => {
      try {
        return await tokens.access()
      } catch (error) {
        if (!(error instanceof LoginRefused)) throw error
        // The provider has ended its session, so this one ends too.
        this.#sessions.end(id)
        return undefined
      }
    }
    // Renewed before the page is rendered, so that it shows an ended session as ended.
    await accessToken()
    if (!this.#sessions.find(id)) return stranger
    return { user, formToken, accessToken, access: tokens.summary }
  }
}
