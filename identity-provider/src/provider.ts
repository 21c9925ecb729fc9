import { fetchOver, lazyPeerClient } from '@hallpass/service-kit/peers'
import type { AccountClaims, Configuration } from 'oidc-provider'
import type { Config } from './config.ts'
import type { LoginStore } from './login-store.ts'
import type { loadOidcLibrary } from './oidc-library.ts'
import type { ProviderPages } from './pages/index.ts'
import type { PrivateJwk } from './signing-keys.ts'
import { API_SCOPES, type User, type Users } from './users.ts'

/** The time to complete the login page; the code must be redeemed immediately afterwards. */
const INTERACTION_TTL_S = 600
const CODE_TTL_S = 60
/**
 * The library's default of 2.5 s is too short for a laptop that is starting twenty processes. After a timeout, the client's
 * session would continue.
 */
const BACKCHANNEL_TIMEOUT_MS = 10_000

/** A store fails over within seconds. */
const RETRY_AFTER_SECONDS = 2

export interface ProviderParts {
  readonly library: Awaited<ReturnType<typeof loadOidcLibrary>>
  readonly config: Config
  readonly users: Users
  readonly logins: LoginStore
  readonly keys: readonly PrivateJwk[]
  readonly clientSecret: string
  readonly cookieSecret: string
  readonly pages: ProviderPages
}

/** Returns the URL of a user’s picture. */
export const pictureUrl = (issuer: string, user: User) => `${issuer}/pictures/${user.id}.svg`

/**
 * Creates the OpenID provider: one client, the web UI; only the code flow with PKCE; consent granted in advance; access
 * tokens as JWTs for one API (RFC 9068), requested by resource indicator (RFC 8707).
 */
export function createProvider({
  library,
  config,
  users,
  logins,
  keys,
  clientSecret,
  cookieSecret,
  pages,
}: ProviderParts) {
  const callWebUi = fetchOver(
    lazyPeerClient({ peer: 'web-ui', timeoutMs: BACKCHANNEL_TIMEOUT_MS, confidential: true }),
  )
  const provider = new library.Provider(config.issuer, {
    adapter: logins.adapterFor,
    clients: [webUiClient(config, clientSecret)],
    jwks: { keys: [...keys] } as NonNullable<Configuration['jwks']>,
    cookies: {
      keys: [cookieSecret],
      // Browsers send cookies to every port of a host, so each service of the suite uses its own cookie names.
      names: { session: 'idp.session', interaction: 'idp.interaction', resume: 'idp.resume' },
      long: { httpOnly: true, sameSite: 'lax', signed: true },
      short: { httpOnly: true, sameSite: 'lax', signed: true },
    },
    // For the client assertions, request objects and ID token hints that it receives.
    clockTolerance: config.clockToleranceSeconds,
    responseTypes: ['code'],
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    claims: { openid: ['sub'], profile: ['name', 'nickname', 'picture'], email: ['email', 'email_verified'] },
    // As with Auth0, the ID token contains the user's claims; an access token for the API is not valid at `userinfo`.
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
    // No consent page, which `offline_access` would otherwise require.
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    // Each refresh token works once; reusing one revokes the whole grant (RFC 9700 §4.14.2).
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
        logoutSource: pages.logOut,
        postLogoutSuccessSource: pages.loggedOut,
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
    // The library forbids calls to loopback, where the development web UI runs; this allows only its URL.
    fetch: (url, options) => {
      const address = new URL(String(url))
      if (address.origin !== config.webUiUrl) throw new TypeError(`${url} is not the web UI.`)
      return callWebUi(address, options)
    },
  })
  provider.use(async (ctx, next) => {
    await next()
    if (ctx.status === 503) ctx.set('retry-after', String(RETRY_AFTER_SECONDS))
  })
  return provider
}

const webUiClient = ({ clientId, webUiUrl }: Config, secret: string) => ({
  client_id: clientId,
  client_name: 'Hallpass web UI',
  client_secret: secret,
  client_uri: webUiUrl,
  // Compared by exact string match (RFC 9700 §4.1.3).
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
