import {
  createPeerClient,
  HttpError,
  type JsonObject,
  type TokenRefusal,
  unexpectedAnswer,
  type VerifiedClaims,
} from '@hallpass/service-kit'

const PEER = 'jwt-factory'

export interface JwtFactoryClientOptions {
  readonly baseUrl: string
  /** Proves who calls, where the factory asks for it: see `@hallpass/callers`. */
  readonly authorization?: (() => Promise<string>) | undefined
  readonly timeoutMs?: number
}

/** How other services use the central issuer. */
export interface JwtFactoryClient {
  /** A token signed with the key of `keyId`. */
  issueToken(
    keyId: string,
    claims: JsonObject & { readonly aud: string },
    options?: { readonly expired?: boolean },
  ): Promise<string>
  /** The claims of a good token; throws a {@link RefusedToken} otherwise. */
  verify(
    keyId: string,
    wanted: { readonly token: string; readonly aud: string; readonly sub: string },
  ): Promise<VerifiedClaims>
  /** The PEM of the key that signs. */
  publicKey(keyId: string): Promise<string>
  /** The parsed key set, for `remoteKeys` of `@hallpass/tokens`. */
  jwks(): Promise<unknown>
}

/** A token that the factory does not call good, in its words. */
export class RefusedToken extends Error implements TokenRefusal {
  readonly reason: string
  readonly #body: Readonly<Record<string, unknown>>

  constructor(body: Readonly<Record<string, unknown>>) {
    super(String(body.message))
    this.name = String(body.name)
    this.reason = body.name === 'TokenExpiredError' ? 'expired' : 'refused'
    this.#body = body
  }

  toJSON() {
    return this.#body
  }
}

/** Every failure is a {@link RefusedToken}, a `PeerError` that names the factory, or a 503 that says which key to make. */
export function createJwtFactoryClient({
  baseUrl,
  authorization,
  timeoutMs,
}: JwtFactoryClientOptions): JwtFactoryClient {
  const http = createPeerClient({
    peer: PEER,
    baseUrl,
    ...(authorization ? { authorization } : {}),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })

  return {
    async issueToken(keyId, claims, { expired = false } = {}) {
      const { status, data } = await http.post(`/issueToken/${keyId}${expired ? '?expired=1' : ''}`, claims, {
        // A token is text, whatever it looks like.
        responseType: 'text',
        transformResponse: (text: string) => text,
      })
      if (status === 200) return data as string
      throw failure(keyId, status, parse(data))
    },
    async verify(keyId, wanted) {
      const { status, data } = await http.post(`/verify/${keyId}`, wanted)
      if (status === 200 && data?.valid === true) return { claims: data.claims as JsonObject }
      if (status === 403 && typeof data?.error?.name === 'string') throw new RefusedToken(data.error)
      throw failure(keyId, status, data)
    },
    async publicKey(keyId) {
      const { status, data } = await http.get(`/utils/publicKey/${keyId}`)
      if (status === 200) return Buffer.from(data.publicKey, 'base64').toString()
      throw failure(keyId, status, data)
    },
    async jwks() {
      const { status, data } = await http.get('/.well-known/jwks.json')
      if (status === 200) return typeof data === 'string' ? parse(data) : data
      throw failure('', status, data)
    },
  }

  function failure(keyId: string, status: number, data: unknown): HttpError {
    const { code, error } = (data ?? {}) as { code?: string; error?: { code?: string; message?: string } }
    const known = error?.code ?? code
    if (status === 404 && known === 'key_not_found') return missingKey(keyId, baseUrl)
    return unexpectedAnswer(PEER, status, error?.message ?? known ?? 'no reason given')
  }
}

/** The documented first step was left out; the answer says which. */
function missingKey(keyId: string, baseUrl: string): HttpError {
  const message = `${PEER} has no key named ${keyId} yet.`
  return new HttpError(503, 'key_missing', message, {
    body: { error: { code: 'key_missing', message, step: `curl ${baseUrl}/keys/${keyId}` } },
  })
}

function parse(text: unknown): unknown {
  try {
    return JSON.parse(String(text))
  } catch {
    return undefined
  }
}
