import {
  createPeerCaller,
  HttpError,
  type JsonObject,
  PeerError,
  type TokenRefusal,
  unexpectedAnswer,
  type VerifiedClaims,
} from '@hallpass/service-kit'
import { parseJson } from '@hallpass/untrusted/json'

const PEER = 'jwt-factory'
/** The response header with the verifier's reason for a rejection, e.g. `audience_mismatch`. */
export const REFUSAL_REASON = 'refusal-reason'
const REASON = /^[a-z_]{1,64}$/
const JSON_HEADERS = { 'content-type': 'application/json' }

export interface JwtFactoryClientOptions {
  readonly baseUrl: string
  /** Returns the caller's credential, if the factory requires one: see `@hallpass/callers`. */
  readonly authorization?: (() => Promise<string>) | undefined
  readonly timeoutMs?: number
}

/** The client of the central issuer. */
export interface JwtFactoryClient {
  /** Returns a token signed with the key of `keyId`. */
  issueToken(
    keyId: string,
    claims: JsonObject & { readonly aud: string },
    options?: { readonly expired?: boolean },
  ): Promise<string>
  /** Verifies a token and returns its claims. @throws {RefusedToken} if the token is rejected */
  verify(
    keyId: string,
    wanted: { readonly token: string; readonly aud: string; readonly sub: string },
  ): Promise<VerifiedClaims>
  /** Returns the PEM of the signing key's public half. */
  publicKey(keyId: string): Promise<string>
  /** Returns the parsed JWKS, for `remoteKeys` of `@hallpass/tokens`; with a key ID, only the keys of that one. */
  jwks(keyId?: string): Promise<unknown>
  /** Returns the parsed JWKS with the key of this kid, or undefined if there is none: for `loadKey` of `remoteKeys`. */
  jwksWith(kid: string): Promise<unknown>
  /** Returns the status list token with this ID. */
  statusList(id: string): Promise<string>
}

/** Thrown when the factory rejects a token; contains its response. */
export class RefusedToken extends Error implements TokenRefusal {
  readonly reason: string
  readonly #body: Readonly<Record<string, unknown>>

  /** @param reason the factory's `refusal-reason`; missing from older releases. */
  constructor(body: Readonly<Record<string, unknown>>, reason: string | undefined) {
    super(String(body.message))
    this.name = String(body.name)
    this.reason = reason ?? (body.name === 'TokenExpiredError' ? 'expired' : 'refused')
    this.#body = body
  }

  toJSON() {
    return this.#body
  }
}

/**
 * Creates a client. Its calls fail with a {@link RefusedToken}, a `PeerError` that names the factory, or a 503 that names
 * the missing key.
 */
export function createJwtFactoryClient({
  baseUrl,
  authorization,
  timeoutMs,
}: JwtFactoryClientOptions): JwtFactoryClient {
  // The pool and not axios: every token of scenarios 1 and 2 is issued and verified here (docs/decisions/003-axios-over-a-pool.md).
  const call = createPeerCaller({
    peer: PEER,
    baseUrl,
    ...(authorization ? { authorization } : {}),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  const get = (path: string) => call({ method: 'GET', path })
  /**
   * Repeats a request once whose connection broke, e.g. because a replica was killed: issuing or verifying a token twice does
   * no harm. A 502 comes from a balancer whose replica broke the connection.
   */
  const post = async (path: string, body: unknown) => {
    const request = { method: 'POST', path, headers: JSON_HEADERS, body: JSON.stringify(body) } as const
    try {
      const answer = await call(request)
      if (answer.status !== 502) return answer
    } catch (error) {
      if (!isBroken(error)) throw error
    }
    return call(request)
  }

  return {
    async issueToken(keyId, claims, { expired = false } = {}) {
      const { status, text } = await post(`/issueToken/${keyId}${expired ? '?expired=1' : ''}`, claims)
      if (status === 200) return text
      throw failure(keyId, status, text)
    },
    async verify(keyId, wanted) {
      const { status, text, headers } = await post(`/verify/${keyId}`, wanted)
      const body = parse(text) as { valid?: unknown; claims: JsonObject; error?: JsonObject } | undefined
      if (status === 200 && body?.valid === true) return { claims: body.claims }
      if (status === 403 && typeof body?.error?.name === 'string')
        throw new RefusedToken(body.error, reasonIn(headers[REFUSAL_REASON]))
      throw failure(keyId, status, text)
    },
    async publicKey(keyId) {
      const { status, text } = await get(`/utils/publicKey/${keyId}`)
      const body = parse(text) as { publicKey?: unknown } | undefined
      if (status === 200 && typeof body?.publicKey === 'string')
        return Buffer.from(body.publicKey, 'base64').toString()
      throw failure(keyId, status, text)
    },
    async jwks(keyId) {
      const path = keyId === undefined ? '/.well-known/jwks.json' : `/keys/${keyId}/jwks.json`
      const { status, text } = await call({ method: 'GET', path, shared: true })
      if (status === 200) return parse(text)
      throw failure(keyId ?? '', status, text)
    },
    async jwksWith(kid) {
      const path = `/.well-known/jwks.json?kid=${encodeURIComponent(kid)}`
      const { status, text } = await call({ method: 'GET', path, shared: true })
      if (status === 200) return parse(text)
      if (status === 404) return undefined
      throw failure('', status, text)
    },
    async statusList(id) {
      const path = `/status-lists/${encodeURIComponent(id)}`
      const { status, text } = await call({ method: 'GET', path, shared: true })
      if (status === 200) return text
      throw failure('', status, text)
    },
  }

  function failure(keyId: string, status: number, text: string): HttpError {
    const { code, error } = (parse(text) ?? {}) as {
      code?: string
      error?: { code?: string; message?: string }
    }
    const known = error?.code ?? code
    if (status === 404 && known === 'key_not_found') return missingKey(keyId, baseUrl)
    return unexpectedAnswer(PEER, status, error?.message ?? known ?? 'no reason given')
  }
}

/** A refused connection is not repeated: nothing listens there. */
const isBroken = (error: unknown) =>
  error instanceof PeerError &&
  error.code === 'peer_unreachable' &&
  ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes((error.cause as { code?: string }).code ?? '')

const reasonIn = (header: unknown) => (typeof header === 'string' && REASON.test(header) ? header : undefined)

/** Returns a 503 for a key that has not been created yet, with the command that creates it. */
function missingKey(keyId: string, baseUrl: string): HttpError {
  const message = `${PEER} has no key named ${keyId} yet.`
  return new HttpError(503, 'key_missing', message, {
    body: { error: { code: 'key_missing', message, step: `curl ${baseUrl}/keys/${keyId}` } },
  })
}

/** Returns undefined for text that is not JSON; the client then reports an unexpected response. */
function parse(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}
