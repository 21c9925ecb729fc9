import { join } from 'node:path'
import { explainSecretFile } from '@hallpass/private-files'
import {
  type CommonConfig,
  commonConfig,
  type Environment,
  isLoopback,
  readConfig,
  storeConfig,
  type VariableReader,
} from '@hallpass/service-kit'
import { agentAdminSocket } from '@hallpass/spiffe-agent/client'
import { readClientAuth, readProvider } from './provider/index.ts'

/** Of 256 bits, as base64 or hex; `openssl rand -base64 32` prints 44 characters. */
const MIN_SECRET_LENGTH = 32
/** A working day. Logging in again needs only a click while the provider's session lasts. */
const SESSION_MAX_S = 8 * 3600
/** Longer than a typical break. */
const SESSION_IDLE_S = 3600

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const port = variables.port('PORT', 4000)
    const baseUrl = variables.url('BASE_URL', `http://localhost:${port}`)
    variables.require(isBare(baseUrl), 'BASE_URL must have no query, fragment or credentials')
    const insecureCookies = variables.flag('INSECURE_COOKIES', false)
    // Browsers store `Secure` cookies only from https, or from localhost.
    variables.require(
      baseUrl.startsWith('https:') || isLoopback(new URL(baseUrl).hostname) || insecureCookies,
      `BASE_URL must be https or on localhost, but is ${baseUrl}; INSECURE_COOKIES=true allows unencrypted sessions, ` +
        'which anyone on the network can take over',
    )
    const explorerIsOn = variables.flag('EXPLORER', !common.production)
    /** Reads the URL of a service to which only the explorer sends credentials. */
    const explored = (name: string, fallback: string) =>
      explorerIsOn ? variables.trustedUrl(name, fallback) : variables.url(name, fallback)
    const tokenCacheProxyUrls = variables.list('TOKEN_CACHE_PROXY_URLS', [
      'http://localhost:8080',
      'http://localhost:8081',
    ])
    if (explorerIsOn)
      for (const url of tokenCacheProxyUrls) variables.requireTrusted('TOKEN_CACHE_PROXY_URLS', url)
    const provider = readProvider(variables)
    return {
      ...common,
      port,
      /** The URL of this service in browsers; never taken from a request. */
      baseUrl,
      insecureCookies,
      assetsFolder: variables.text('ASSETS_FOLDER', 'web-ui/public'),
      backendUrl: variables.trustedUrl('BACKEND_SERVICE_URL', 'http://localhost:3003'),
      secondBackendUrl: variables.trustedUrl('SECOND_BACKEND_SERVICE_URL', 'http://localhost:3004'),
      /** Whether this service handles the login (`true`) or a gateway in front of it (`false`). */
      login: variables.flag('SHOULD_AUTHENTICATE', false)
        ? readLogin(variables, provider, common)
        : undefined,
      gateway: {
        /** Whose tokens to accept. Without it, no token can be verified and none is accepted. */
        provider,
        /** The gateway's logout path. */
        logoutPath: readLogoutPath(variables),
      },
      /**
       * The services that the explorer calls and administers. Only in development mode by default: in production services
       * report no hops, and not every user may run scenarios.
       */
      explorer: {
        isOn: explorerIsOn,
        jwtFactoryUrl: explored('JWT_FACTORY_URL', 'http://localhost:5555'),
        sseServerUrl: explored('SSE_SERVER_URL', 'http://localhost:8001'),
        tokenCacheProxyUrls,
        spiffeAdminSocket: variables.text('SPIFFE_ADMIN_SOCKET', agentAdminSocket(common.stateFolder)),
        /** The base URL of links from checks, e.g. `https://github.com/OWNER/REPOSITORY/blob/main`; by default this service. */
        sourceUrl: variables.optionalUrl('SOURCE_URL'),
        /** The folder of the source files. */
        sourceFolder: variables.text('SOURCE_FOLDER', '.'),
        serviceAUrl: explored('SERVICE_A_URL', 'http://localhost:3000'),
        tokenCacheUrl: explored('TOKEN_CACHE_URL', 'http://localhost:8000'),
        hopsStreamUrl: explored('HOPS_STREAM_URL', 'https://localhost:7143/hops'),
        caFile: variables.text('CA_FILE', join(common.stateFolder, 'certificates/ca.pem')),
        /** The launcher's socket, set by `npm start`. Without it, the explorer cannot stop and start services. */
        launcherSocket: common.production ? undefined : variables.optionalText('LAUNCHER_SOCKET'),
      },
    }
  })

/** Whether paths can be appended to a URL, also if its query is empty. */
function isBare(url: string): boolean {
  const { username, password } = new URL(url)
  return !/[?#]/.test(url) && username === '' && password === ''
}

/** Reads the gateway's logout path, which is a link on pages, so it must not lead to another host. */
function readLogoutPath(variables: VariableReader): string {
  const path = variables.text('GATEWAY_LOGOUT_PATH', '/logout')
  const here = 'http://localhost'
  // Browsers read `//host` and `/\host` as another host.
  const isPath = path.startsWith('/') && URL.canParse(path, here) && new URL(path, here).origin === here
  variables.require(isPath, `GATEWAY_LOGOUT_PATH must be a path, but is ${JSON.stringify(path)}`)
  return path
}

/** Reads the scopes of a login. */
function readScope(variables: VariableReader): string {
  const scope = variables.text('SCOPE', 'openid profile email offline_access')
  variables.require(
    scope.split(' ').includes('openid'),
    `SCOPE must contain openid, or there is no ID token, but is ${JSON.stringify(scope)}`,
  )
  return scope
}

/** Reads the configuration of the OpenID client, from the documented variables. */
function readLogin(
  variables: VariableReader,
  provider: ReturnType<typeof readProvider>,
  { production, stateFolder }: CommonConfig,
) {
  const randomSecret = variables.optionalText('RANDOM_SECRET')
  variables.require(
    randomSecret === undefined || randomSecret.length >= MIN_SECRET_LENGTH,
    `RANDOM_SECRET needs at least ${MIN_SECRET_LENGTH} characters; openssl rand -base64 32 prints such a secret`,
  )
  const store = storeConfig(variables, join(stateFolder, 'web-ui/sessions'))
  variables.require(
    (!production && store.redis === undefined) ||
      randomSecret !== undefined ||
      variables.optionalText('RANDOM_SECRET_FILE') !== undefined,
    `RANDOM_SECRET or RANDOM_SECRET_FILE is required ${production ? 'in production' : 'with REDIS_URL'}, the same for all replicas: ` +
      'it encrypts the sessions; openssl rand -base64 32 prints such a secret',
  )
  const clientAuth = readClientAuth(variables)
  const clientSecret = readClientSecret(variables, clientAuth.method, { production, stateFolder })
  return {
    provider: {
      ...(provider as NonNullable<typeof provider>),
      // Both are required here: a missing one becomes a problem.
      issuerUrl: variables.text('ISSUER_BASE_URL'),
      clientId: variables.text('AUTH0_CLIENT_ID'),
    },
    clientAuth,
    clientSecret,
    randomSecret,
    /** The file with it, if RANDOM_SECRET is not set; the first start makes it. */
    randomSecretFile: variables.text('RANDOM_SECRET_FILE', join(stateFolder, 'web-ui/random-secret')),
    /** Where the sessions are. */
    store,
    /** What a login requests. */
    request: {
      /** The parameter `audience`, by which Auth0 knows the API. */
      audience: variables.optionalText('AUDIENCE'),
      /** The parameter `resource` (RFC 8707). Entra's v2.0 endpoints refuse it: there only SCOPE names the API. */
      resource: variables.optionalText('RESOURCE'),
      scope: readScope(variables),
    },
    /**
     * How the browser sends a logout to the provider. `get` works with every provider: some accept no POST, and one on another
     * site gets no `SameSite=Lax` cookies with it. `post` keeps the ID token out of URLs.
     */
    logoutMethod: variables.oneOf('LOGOUT_METHOD', ['get', 'post'], 'get'),
    sessionMaxMs: variables.seconds('SESSION_MAX_S', SESSION_MAX_S, { min: 1 }) * 1000,
    sessionIdleMs: variables.seconds('SESSION_IDLE_S', SESSION_IDLE_S, { min: 1 }) * 1000,
  }
}

/** The client secret itself, or the file with it. */
type ClientSecret =
  | { readonly text: string }
  | {
      readonly file: string
      /** The suite's own, which this service and the identity provider share; the first of them creates it. */
      readonly isSelfMade: boolean
    }

/** Reads where the client secret is; undefined for a method that uses none. Only in development mode it may be the suite's. */
function readClientSecret(
  variables: VariableReader,
  method: string | undefined,
  { production, stateFolder }: Pick<CommonConfig, 'production' | 'stateFolder'>,
): ClientSecret | undefined {
  if (method !== undefined && !method.startsWith('client_secret')) return undefined
  const text = variables.optionalText('AUTH0_SECRET')
  if (text !== undefined) return { text }
  const file = variables.optionalText('AUTH0_SECRET_FILE')
  variables.require(
    !production || file !== undefined,
    'AUTH0_SECRET or AUTH0_SECRET_FILE is required in production',
  )
  if (file === undefined)
    return { file: join(stateFolder, 'identity-provider/web-ui-client-secret'), isSelfMade: true }
  const problem = explainSecretFile(file, 'the client secret that the provider has issued')
  variables.require(problem === undefined, `AUTH0_SECRET_FILE ${file} ${problem}`)
  return { file, isSelfMade: false }
}

export type LoginConfig = ReturnType<typeof readLogin>

export type Config = ReturnType<typeof loadConfig>
