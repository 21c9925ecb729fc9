import type { AccountClaims, Configuration } from 'oidc-provider'
import type { Config } from './config.ts'
import { MemoryStore } from './memory-store.ts'
import type { loadOidcLibrary } from './oidc-library.ts'
import type { ProviderPages } from './pages/provider-pages.ts'
import type { PrivateJwk } from './signing-keys.ts'
import { API_SCOPES, type User, type Users } from './users.ts'

/** Time to answer a login page; then the code must be redeemed at once. */
const INTERACTION_TTL_S = 600
const CODE_TTL_S = 60
/** The library gives up after 2.5 s, and then a session lives on: too early for a laptop that starts twenty processes. */
const BACKCHANNEL_TIMEOUT_MS = 10_000

export interface ProviderParts {
  readonly library: Awaited<ReturnType<typeof loadOidcLibrary>>
  readonly config: Config
  readonly users: Users
  readonly keys: readonly PrivateJwk[]
  readonly clientSecret: string
  readonly cookieSecret: string
  readonly pages: ProviderPages
}

/** Where this provider keeps the picture of a user. */
export const pictureUrl = (issuer: string, user: User) => `${issuer}/pictures/${user.id}.svg`

/**
 * The OpenID provider: one client, the web UI; code flow with PKCE alone; consent given beforehand; access tokens
 * as JWTs for one API (RFC 9068), named by resource indicator (RFC 8707).
 */
export function createProvider({
  library,
  config,
  users,
  keys,
  clientSecret,
  cookieSecret,
  pages,
}: ProviderParts) {
  const provider = new library.Provider(config.issuer, {
    adapter: new MemoryStore().adapterFor,
    clients: [webUiClient(config, clientSecret)],
    jwks: { keys: [...keys] } as NonNullable<Configuration['jwks']>,
    cookies: {
      keys: [cookieSecret],
      // Browsers send cookies to every port of a host, so each of the suite's has a name of its own.
      names: { session: 'idp.session', interaction: 'idp.interaction', resume: 'idp.resume' },
      long: { httpOnly: true, sameSite: 'lax', signed: true },
      short: { httpOnly: true, sameSite: 'lax', signed: true },
    },
    responseTypes: ['code'],
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    claims: { openid: ['sub'], profile: ['name', 'nickname', 'picture'], email: ['email', 'email_verified'] },
    // As with Auth0, the ID token says who it is; an access token for the API does not open `userinfo`.
    conformIdTokenClaims: false,
    findAccount: (_ctx, id) => {
      const user = users.find(id)
      return user && { accountId: user.id, claims: () => claimsOf(user, config.issuer) }
    },
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    loadExistingGrant: async (ctx) => {
      const { client, session, resourceServers } = ctx.oidc
      const user = users.find(session?.accountId ?? '')
      if (!client || !user) return undefined
      const grant = new provider.Grant({ clientId: client.clientId, accountId: user.id })
      grant.addOIDCScope('openid profile email offline_access')
      for (const resource of Object.keys(resourceServers ?? {})) {
        grant.addResourceScope(resource, user.scopes.join(' '))
        grant.rejectResourceScope(
          resource,
          Object.keys(API_SCOPES)
            .filter((scope) => !user.scopes.includes(scope))
            .join(' '),
        )
      }
      await grant.save()
      return grant
    },
    // Asking for consent, which `offline_access` would otherwise need, is off.
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    // Each refresh token is good once; whoever brings an old one ends the whole grant (RFC 9700 §4.14.2).
    rotateRefreshToken: () => true,
    ttl: {
      AccessToken: config.accessTokenTtlSeconds,
      AuthorizationCode: CODE_TTL_S,
      Grant: config.sessionTtlSeconds,
      IdToken: config.idTokenTtlSeconds,
      Interaction: INTERACTION_TTL_S,
      RefreshToken: config.sessionTtlSeconds,
      Session: config.sessionTtlSeconds,
    },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: pages.signOut,
        postLogoutSuccessSource: pages.signedOut,
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => {
          if (resource !== config.audience) throw new library.errors.InvalidTarget()
          return {
            audience: config.audience,
            scope: Object.keys(API_SCOPES).join(' '),
            accessTokenFormat: 'jwt',
            accessTokenTTL: config.accessTokenTtlSeconds,
            jwt: { sign: { alg: 'ES256' } },
          }
        },
      },
    },
    renderError: pages.problem,
    // The library forbids calls to loopback, where the web UI of a laptop lives; only its one address is called.
    fetch: (url, options) => {
      if (new URL(String(url)).origin !== config.webUiUrl) throw new TypeError(`${url} is not the web UI.`)
      const { dispatcher: _guarded, ...rest } = options as RequestInit & { dispatcher?: unknown }
      return globalThis.fetch(url, { ...rest, signal: AbortSignal.timeout(BACKCHANNEL_TIMEOUT_MS) })
    },
  })
  return provider
}

const webUiClient = ({ clientId, webUiUrl }: Config, secret: string) => ({
  client_id: clientId,
  client_name: 'Hallpass web UI',
  client_secret: secret,
  client_uri: webUiUrl,
  // Compared as they are, letter by letter (RFC 9700 §4.1.3).
  redirect_uris: [`${webUiUrl}/callback`],
  post_logout_redirect_uris: [`${webUiUrl}/`],
  backchannel_logout_uri: `${webUiUrl}/backchannel-logout`,
  backchannel_logout_session_required: true,
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code' as const],
  id_token_signed_response_alg: 'RS256' as const,
  token_endpoint_auth_method: 'client_secret_basic' as const,
})

const claimsOf = (user: User, issuer: string): AccountClaims => ({
  sub: user.id,
  name: user.name,
  nickname: user.nickname,
  picture: pictureUrl(issuer, user),
  email: user.email,
  email_verified: true,
})
