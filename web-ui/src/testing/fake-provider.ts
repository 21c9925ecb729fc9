import { createHash, randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import { HttpError, httpService, silentLog } from '@hallpass/service-kit'
import { developmentConfig } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { presentClaims } from '@hallpass/tokens/testing'
import express from 'express'

type Claims = Record<string, unknown>

/** Deviations from a correct provider, which each test sets. */
export interface Tricks {
  /** Changes the parameters of the redirect to the callback. */
  redirect?: (parameters: URLSearchParams) => void
  /** Changes the claims of ID tokens; `undefined` omits a claim. */
  idToken?: (claims: Claims) => Claims
  /** Signs ID tokens in place of the published key. */
  idTokenKey?: SigningKey
  /** How far the provider's clock is ahead. */
  aheadMs?: number
  /** Replaces the ID token. */
  rawIdToken?: string
  /** Replaces the answer of the token endpoint. */
  tokenEndpoint?: () => { status: number; body: unknown; headers?: Record<string, string> } | undefined
  /** Runs before a code is redeemed. */
  beforeRedeem?: () => Promise<void>
  /** Runs before a refresh is answered. */
  beforeRefresh?: () => Promise<void>
  /** `frozen`: accepts requests and never answers; `reset`: cuts each connection. */
  away?: 'frozen' | 'reset'
  /** The type of access tokens. */
  tokenType?: unknown
  /** Issues no refresh token. */
  withoutRefreshToken?: boolean
  /** Changes the metadata. */
  metadata?: (metadata: Claims) => Claims
  /** The key set is not available. */
  keysAway?: boolean
  /** Replaces the key set. */
  keySet?: unknown
  /** Replaces the answer of the UserInfo endpoint. */
  userInfo?: () => { status: number; type: string; body: string }
}

interface Grant {
  readonly nonce: string | undefined
  readonly challenge: string
}

/**
 * An OpenID provider with one user and no pages, which logs in every visitor immediately. By default it is correct (PKCE,
 * one use of each code and refresh token); tests can change each of its answers.
 */
export async function fakeProvider({
  port,
  clientId = 'web-ui',
  path = '',
  clock = Date.now,
}: {
  port: number
  clientId?: string
  /** Added to the issuer, e.g. `/o/app/`. Its endpoints are at the root, except the metadata. */
  path?: string
  clock?: () => number
}) {
  const issuer = `http://localhost:${port}${path}`
  const origin = `http://localhost:${port}`
  const codes = new Map<string, Grant>()
  const refreshTokens = new Set<string>()
  const frozen = new Set<Socket>()
  const state = {
    issuer,
    tricks: {} as Tricks,
    user: { sub: 'ada', name: 'Ada Okafor', nickname: 'ada' } as Claims,
    accessTokenSeconds: 120,
    /** Every code, state, token and secret sent or received, none of which must be in a log. */
    secrets: [] as string[],
    authorizations: [] as URLSearchParams[],
    tokenRequests: [] as Record<string, string>[],
    tokenHeaders: [] as IncomingHttpHeaders[],
    revoked: [] as string[],
    revocations: [] as Record<string, string>[],
    /** The access tokens that UserInfo was asked with. */
    userInfoAsked: [] as string[],
    keyLoads: 0,
    /** The requests to end a session. */
    logouts: [] as { method: string; parameters: Record<string, unknown> }[],
    key: undefined as SigningKey | undefined,
    /** Cuts the connections of requests that were never answered. */
    cutFrozen: () => {
      for (const socket of frozen) socket.destroy()
      frozen.clear()
    },
    idToken: (claims: Claims = {}, options: { lifetimeSeconds?: number; typ?: string } = {}) =>
      signToken(
        presentClaims({
          iss: issuer,
          aud: clientId,
          ...state.user,
          ...claims,
        }),
        state.tricks.idTokenKey ?? (state.key as SigningKey),
        {
          lifetimeSeconds: 600,
          maxLength: 1024 * 1024,
          clock: () => clock() + (state.tricks.aheadMs ?? 0),
          ...options,
        },
      ),
  }
  const secret = (text: string) => {
    state.secrets.push(text)
    return text
  }

  async function tokensFor(nonce: string | undefined) {
    const accessToken = await signToken(
      { iss: issuer, aud: 'https://webui', ...state.user },
      state.key as SigningKey,
      { lifetimeSeconds: state.accessTokenSeconds, typ: 'at+jwt' },
    )
    const refreshToken = randomBytes(16).toString('hex')
    refreshTokens.add(refreshToken)
    const honest: Claims = { sid: 'session-1', ...(nonce === undefined ? {} : { nonce }) }
    const claims = state.tricks.idToken?.({ ...honest }) ?? honest
    return {
      access_token: secret(accessToken),
      token_type: 'tokenType' in state.tricks ? state.tricks.tokenType : 'Bearer',
      expires_in: state.accessTokenSeconds,
      ...(state.tricks.withoutRefreshToken ? {} : { refresh_token: secret(refreshToken) }),
      id_token: secret(state.tricks.rawIdToken ?? (await state.idToken(claims))),
      scope: 'read:data',
    }
  }

  async function redeem(form: Record<string, string>) {
    if (form.grant_type === 'refresh_token') {
      await state.tricks.beforeRefresh?.()
      if (!refreshTokens.delete(form.refresh_token ?? '')) return undefined
      return tokensFor(undefined)
    }
    await state.tricks.beforeRedeem?.()
    const grant = codes.get(form.code ?? '')
    codes.delete(form.code ?? '')
    const challenge = createHash('sha256')
      .update(form.code_verifier ?? '')
      .digest('base64url')
    if (!grant || grant.challenge !== challenge) return undefined
    return tokensFor(grant.nonce)
  }

  const service = httpService({
    name: 'fake-provider',
    log: silentLog,
    config: developmentConfig,
    listeners: [{ name: 'http', host: '127.0.0.1', port }],
    routes: (routes) => {
      routes.use((request, _response, next) => {
        if (state.tricks.away === undefined) return next()
        if (state.tricks.away === 'reset') request.socket.destroy()
        else frozen.add(request.socket)
      })
      routes.get(`${path.replace(/\/$/, '')}/.well-known/openid-configuration`, (_request, response) => {
        const metadata = {
          issuer,
          authorization_endpoint: `${origin}/auth`,
          token_endpoint: `${origin}/token`,
          jwks_uri: `${origin}/jwks`,
          end_session_endpoint: `${origin}/session/end`,
          revocation_endpoint: `${origin}/revoke`,
          response_types_supported: ['code'],
          id_token_signing_alg_values_supported: ['RS256'],
          userinfo_endpoint: `${origin}/userinfo`,
          authorization_response_iss_parameter_supported: true,
        }
        response.json(state.tricks.metadata?.(metadata) ?? metadata)
      })
      routes.get('/jwks', (_request, response) => {
        if (state.tricks.keysAway) return void response.status(503).end()
        state.keyLoads += 1
        response.json(state.tricks.keySet ?? publicJwks([state.key as SigningKey]))
      })
      routes.get('/auth', (request, response) => {
        const asked = new URL(request.originalUrl, issuer).searchParams
        state.authorizations.push(asked)
        if (asked.get('code_challenge_method') !== 'S256')
          throw new HttpError(400, 'no_pkce', 'PKCE is missing.')
        const code = secret(randomBytes(16).toString('hex'))
        secret(asked.get('state') ?? '')
        codes.set(code, {
          nonce: asked.get('nonce') ?? undefined,
          challenge: asked.get('code_challenge') ?? '',
        })
        const parameters = new URLSearchParams({ code, state: asked.get('state') ?? '', iss: issuer })
        state.tricks.redirect?.(parameters)
        response.redirect(303, `${asked.get('redirect_uri')}?${parameters}`)
      })
      const form = express.urlencoded({ extended: false })
      routes.post('/token', form, async (request, response) => {
        const fields = request.body as Record<string, string>
        state.tokenRequests.push(fields)
        secret(fields.code_verifier ?? fields.refresh_token ?? '')
        state.tokenHeaders.push(request.headers)
        const bent = state.tricks.tokenEndpoint?.()
        if (bent)
          return void response
            .status(bent.status)
            .set(bent.headers ?? {})
            .json(bent.body)
        const tokens = await redeem(fields)
        response.status(tokens ? 200 : 400).json(tokens ?? { error: 'invalid_grant' })
      })
      routes.post('/revoke', form, (request, response) => {
        state.revocations.push(request.body as Record<string, string>)
        state.revoked.push((request.body as { token: string }).token)
        response.status(200).end()
      })
      routes.get('/userinfo', (request, response) => {
        state.userInfoAsked.push(request.headers.authorization ?? '')
        const { status, type, body } = state.tricks.userInfo?.() ?? {
          status: 200,
          type: 'application/json',
          body: JSON.stringify(state.user),
        }
        response.status(status).type(type).send(body)
      })
      routes.all('/session/end', form, (request, response) => {
        const parameters = { ...request.query, ...(request.body as object | undefined) }
        state.logouts.push({ method: request.method, parameters })
        response.send('ended')
      })
    },
  })
  state.key = await generateSigningKey('RS256')
  return { ...service, name: service.name, state }
}

export type FakeProvider = Awaited<ReturnType<typeof fakeProvider>>
