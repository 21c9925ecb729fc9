import { badRequest, unexpectedAnswer } from '@hallpass/service-kit'
import type { WatcherTokens } from '../gateway/index.ts'
import { GATEWAY, type GatewayDoor } from '../gateway/index.ts'
import { LIVE_TIMEOUT_MS } from './ask-peer.ts'

const MAX_VALUE = 512
/** The subject under which this service administers the gateway. */
const ADMINISTRATOR = 'web-ui'

/** Shows the gateway's streams to an administrator; requested with a token that has that scope. */
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

  /** @throws {HttpError} 400 unless exactly one of `jti`, `sub` and `session` is given */
  async revoke(revocation: Readonly<Record<string, unknown>>): Promise<void> {
    const [kind, value] = Object.entries(revocation)[0] ?? []
    if (
      (kind !== 'jti' && kind !== 'sub' && kind !== 'session') ||
      typeof value !== 'string' ||
      value.length > MAX_VALUE
    )
      throw badRequest('invalid_revocation', 'Set exactly one of jti, sub and session.')
    await this.#ask('POST', '/revocations', { [kind]: value })
  }

  async #ask(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const { status, data } = await this.#door.ask<{ error?: { message?: string } }>({
      method,
      path,
      token: await this.#tokens.issue(ADMINISTRATOR, 'stream:revoke'),
      ...(body === undefined ? { timeoutMs: LIVE_TIMEOUT_MS } : { body }),
    })
    if (status < 300) return data
    throw unexpectedAnswer(GATEWAY, status, data.error?.message ?? 'no reason given')
  }
}
