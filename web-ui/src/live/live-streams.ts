import { badRequest, PeerError } from '@hallpass/service-kit'
import { bodyOf, GATEWAY, type GatewayDoor } from '../explorer/gateway-door.ts'
import type { WatcherTokens } from '../explorer/watcher-tokens.ts'
import { LIVE_TIMEOUT_MS } from './ask-peer.ts'

const MAX_VALUE = 512
/** In whose name this service administers the gateway. */
const ADMINISTRATOR = 'web-ui'

/** The gateway's streams as an operator sees them; asked for with a token that says so. */
export class LiveStreams {
  readonly #door: GatewayDoor
  readonly #tokens: WatcherTokens

  constructor(door: GatewayDoor, tokens: WatcherTokens) {
    this.#door = door
    this.#tokens = tokens
  }

  show(): Promise<unknown> {
    return this.#ask('GET', '/streams')
  }

  /** @throws {HttpError} 400 unless one of `jti`, `sub` and `session` is given. */
  async revoke(wish: Readonly<Record<string, unknown>>): Promise<void> {
    const [kind, value] = Object.entries(wish)[0] ?? []
    if (
      (kind !== 'jti' && kind !== 'sub' && kind !== 'session') ||
      typeof value !== 'string' ||
      value.length > MAX_VALUE
    )
      throw badRequest('invalid_revocation', 'Set exactly one of jti, sub and session.')
    await this.#ask('POST', '/revocations', JSON.stringify({ [kind]: value }))
  }

  async #ask(method: 'GET' | 'POST', path: string, body?: string): Promise<unknown> {
    const answer = await this.#door.knock({
      method,
      path,
      token: await this.#tokens.issue(ADMINISTRATOR, 'stream:revoke'),
      ...(body === undefined ? { timeoutMs: LIVE_TIMEOUT_MS } : { body }),
    })
    const said = await bodyOf(answer)
    if ((answer.statusCode ?? 0) < 300) return said
    const { error } = said as { error?: { message?: string } }
    throw new PeerError(
      GATEWAY,
      502,
      'peer_refused',
      `${GATEWAY} answered ${answer.statusCode}: ${error?.message ?? 'no reason given'}`,
    )
  }
}
