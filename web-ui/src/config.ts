import { join } from 'node:path'
import {
  commonConfig,
  type Environment,
  isLoopback,
  readConfig,
  type VariableReader,
} from '@hallpass/service-kit'
import { agentAdminSocket } from '@hallpass/spiffe-agent/client'

/** 256 bits, as base64 or hex; `openssl rand -base64 32` makes 44 characters. */
const MIN_SECRET_LENGTH = 32
/** A working day; then people log in again, which costs a click while the provider knows them. */
const SESSION_MAX_S = 8 * 3600
/** A cup of tea, a meeting. */
const SESSION_IDLE_S = 3600

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const port = variables.port('PORT', 4000)
    const baseUrl = variables.url('BASE_URL', `http://localhost:${port}`)
    const insecureCookies = variables.flag('INSECURE_COOKIES', false)
    // Browsers keep `Secure` cookies from https alone, and from http on this very machine.
    variables.require(
      baseUrl.startsWith('https:') || isLoopback(new URL(baseUrl).hostname) || insecureCookies,
      `BASE_URL must be https, or on localhost, but is ${baseUrl}; INSECURE_COOKIES=true lets sessions travel ` +
        'in the clear, where anybody on the way can take them over',
    )
    return {
      ...common,
      port,
      /** How browsers reach this service; never taken from a request. */
      baseUrl,
      insecureCookies,
      assetsFolder: variables.text('ASSETS_FOLDER', 'web-ui/public'),
      backendUrl: variables.url('BACKEND_SERVICE_URL', 'http://localhost:3003'),
      secondBackendUrl: variables.url('SECOND_BACKEND_SERVICE_URL', 'http://localhost:3004'),
      /** Who logs people in: this service (`true`), or a gateway in front of it (`false`). */
      login: variables.flag('SHOULD_AUTHENTICATE', false)
        ? readLogin(variables, common.production, common.stateFolder)
        : undefined,
      gateway: readGateway(variables),
      /**
       * What the explorer and its live views run, watch and administer. It is part of a development start: in production services tell nobody of
       * their hops, and the scenarios are not for everybody who is logged in.
       */
      explorer: {
        isOn: variables.flag('EXPLORER', !common.production),
        jwtFactoryUrl: variables.url('JWT_FACTORY_URL', 'http://localhost:5555'),
        sseServerUrl: variables.url('SSE_SERVER_URL', 'http://localhost:8001'),
        tokenCacheProxyUrls: variables.list('TOKEN_CACHE_PROXY_URLS', [
          'http://localhost:8080',
          'http://localhost:8081',
        ]),
        spiffeAdminSocket: variables.text('SPIFFE_ADMIN_SOCKET', agentAdminSocket(common.stateFolder)),
        /** Where checks link to, e.g. `https://github.com/OWNER/REPOSITORY/blob/main`; without it, to the files here. */
        sourceUrl: variables.optionalUrl('SOURCE_URL'),
        /** The checkout, where there is one. */
        sourceFolder: variables.text('SOURCE_FOLDER', '.'),
        serviceAUrl: variables.url('SERVICE_A_URL', 'http://localhost:3000'),
        tokenCacheUrl: variables.url('TOKEN_CACHE_URL', 'http://localhost:8000'),
        hopsStreamUrl: variables.url('HOPS_STREAM_URL', 'https://localhost:7143/hops'),
        caFile: variables.text('CA_FILE', join(common.stateFolder, 'certificates/ca.pem')),
        /** Set by `npm start`, through whose socket single services are stopped and started; absent, there are no buttons. */
        launcherSocket: common.production ? undefined : variables.optionalText('LAUNCHER_SOCKET'),
      },
    }
  })

/** The OpenID client that this service is; the names of the variables are those of the documented set-up. */
function readLogin(variables: VariableReader, production: boolean, stateFolder: string) {
  const randomSecret = variables.optionalText('RANDOM_SECRET')
  variables.require(
    randomSecret === undefined || randomSecret.length >= MIN_SECRET_LENGTH,
    `RANDOM_SECRET needs at least ${MIN_SECRET_LENGTH} characters; openssl rand -base64 32 makes them`,
  )
  variables.require(!production || randomSecret !== undefined, 'RANDOM_SECRET is required in production')
  const clientSecret = variables.optionalText('AUTH0_SECRET')
  variables.require(
    !production || clientSecret !== undefined || variables.optionalText('AUTH0_SECRET_FILE') !== undefined,
    'AUTH0_SECRET or AUTH0_SECRET_FILE is required in production',
  )
  return {
    issuerUrl: variables.url('ISSUER_BASE_URL'),
    clientId: variables.text('AUTH0_CLIENT_ID'),
    clientSecret,
    /** Used without AUTH0_SECRET; the identity provider of the suite reads and makes the same file. */
    clientSecretFile: variables.text(
      'AUTH0_SECRET_FILE',
      join(stateFolder, 'identity-provider/web-ui-client-secret'),
    ),
    randomSecret,
    randomSecretFile: join(stateFolder, 'web-ui/random-secret'),
    /** The API whose access tokens are asked for; without it there is no token for the backends. */
    audience: variables.optionalText('AUDIENCE'),
    scope: variables.text('SCOPE', 'openid profile email offline_access'),
    sessionMaxMs: variables.seconds('SESSION_MAX_S', SESSION_MAX_S, { min: 1 }) * 1000,
    sessionIdleMs: variables.seconds('SESSION_IDLE_S', SESSION_IDLE_S, { min: 1 }) * 1000,
  }
}

export type LoginConfig = ReturnType<typeof readLogin>

/** Without an issuer and a client, no token of a gateway can be verified, and none is believed. */
function readGateway(variables: VariableReader) {
  const issuerUrl = variables.optionalUrl('ISSUER_BASE_URL')
  const clientId = variables.optionalText('AUTH0_CLIENT_ID')
  return {
    verify: issuerUrl !== undefined && clientId !== undefined ? { issuerUrl, clientId } : undefined,
    /** Where the gateway ends its session. */
    logoutPath: variables.text('GATEWAY_LOGOUT_PATH', '/logout'),
  }
}

export type Config = ReturnType<typeof loadConfig>
