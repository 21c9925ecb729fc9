import { join } from 'node:path'
import { SuiteBuilder, type SuiteProcess, type Wiring } from './suite-builder.ts'

/**
 * The whole system on one page: every process, the ports on which it listens, and the services that it calls.
 * `npm start`, the system tests and the manifest tests all read it from here.
 */
export function wireSuite(wiring: Wiring): SuiteProcess[] {
  const suite = new SuiteBuilder(wiring)

  // Scenarios 1 to 5
  const jwtFactory = suite.add({
    name: 'jwt-factory',
    shows: 'issues and verifies tokens, rotates keys',
    ports: { PORT: 'http:5555' },
  })
  const serviceB = suite.add({
    name: 'service-b',
    shows: 'callee in scenarios 1–4',
    ports: { PORT: 'http:3001', HTTPS_PORT: 'https:8443' },
    calls: { JWT_FACTORY_URL: jwtFactory },
  })
  const serviceC = suite.add({
    name: 'service-c',
    shows: 'callee in scenarios 2 and 4',
    ports: { PORT: 'http:3002', HTTPS_PORT: 'https:9443' },
    calls: { JWT_FACTORY_URL: jwtFactory },
  })
  const spiffeAgent = suite.add({
    name: 'spiffe-agent',
    folder: 'spiffe/agent',
    shows: 'issues SPIFFE identities',
    ports: { PORT: 'http:8446', BUNDLE_ENDPOINT_PORT: 'https:8447' },
  })
  const spiffeServer = suite.add({
    name: 'spiffe-server',
    folder: 'spiffe/server',
    shows: 'callee in scenario 5',
    ports: { PORT: 'https:8445', HEALTH_PORT: 'http:8449' },
    alsoNeeds: [spiffeAgent],
  })
  const spiffeProxy = suite.add({
    name: 'spiffe-proxy',
    folder: 'spiffe/proxy',
    shows: 'terminates TLS in front of spiffe-server',
    ports: { PORT: 'https:8444', HEALTH_PORT: 'http:8448' },
    calls: { SERVER_URL: spiffeServer },
    alsoNeeds: [spiffeAgent],
  })
  const serviceA = suite.add({
    name: 'service-a',
    shows: 'caller in scenarios 1–5',
    ports: { PORT: 'http:3000' },
    calls: {
      JWT_FACTORY_URL: jwtFactory,
      SERVICE_B_URL: serviceB,
      SERVICE_B_TLS_URL: serviceB.HTTPS_PORT,
      SERVICE_C_URL: serviceC,
      SERVICE_C_TLS_URL: serviceC.HTTPS_PORT,
      SPIFFE_PROXY_URL: spiffeProxy,
    },
    alsoNeeds: [spiffeAgent],
  })

  // Scenario 7: streams
  const sseServer = suite.add({
    name: 'sse-server',
    shows: 'streams published events',
    ports: { TCP_PORT: 'tcp:7001', HTTP_PORT: 'http:8001' },
  })
  const sseGateway = suite.add({
    name: 'sse-gateway',
    shows: 'closes a stream when its token expires',
    ports: { PORT: 'https:7143', SECOND_PORT: 'https:9090' },
    calls: {
      UPSTREAM_URL: sseServer.HTTP_PORT.at('/events'),
      HOPS_UPSTREAM_URL: sseServer.HTTP_PORT.at('/topics/hops'),
    },
  })

  // Scenario 8: login
  const audience = { AUDIENCE: 'https://webui' }
  const identityProvider = suite.add({
    name: 'identity-provider',
    shows: 'logs users in',
    ports: { PORT: 'http:9000' },
    env: {
      ...audience,
      // Required with REDIS_URL; these are the defaults without it.
      KEYS_FILE: join(wiring.stateFolder, 'identity-provider/keys.json'),
      COOKIE_SECRET_FILE: join(wiring.stateFolder, 'identity-provider/cookie-secret'),
    },
  })
  const backend = suite.add({
    name: 'backend-api',
    shows: 'requires the scope read:data',
    ports: { PORT: 'http:3003' },
    calls: { ISSUER: identityProvider },
    env: { ...audience, ENDPOINT: '/data', REQUIRED_SCOPES: 'read:data' },
  })
  const secondBackend = suite.add({
    name: 'second-backend-api',
    folder: 'backend-api',
    shows: 'requires the scope read:data2',
    ports: { PORT: 'http:3004' },
    calls: { ISSUER: identityProvider },
    env: { ...audience, ENDPOINT: '/data2', REQUIRED_SCOPES: 'read:data2' },
  })
  const webUi = suite.add({
    name: 'web-ui',
    shows: 'web pages: explorer, login, decoder',
    ports: { PORT: 'http:4000' },
    calls: {
      JWT_FACTORY_URL: jwtFactory,
      SERVICE_A_URL: serviceA,
      SSE_SERVER_URL: sseServer.HTTP_PORT,
      HOPS_STREAM_URL: sseGateway.PORT.at('/hops'),
      ISSUER_BASE_URL: identityProvider,
      BACKEND_SERVICE_URL: backend,
      SECOND_BACKEND_SERVICE_URL: secondBackend,
    },
    env: {
      RESOURCE: audience.AUDIENCE,
      // The bundled scripts, one for each page; their sources are in web-ui/public.
      ASSETS_FOLDER: '.hallpass/bundles/web-ui-public',
      SHOULD_AUTHENTICATE: 'true',
      AUTH0_CLIENT_ID: 'web-ui',
      RANDOM_SECRET_FILE: join(wiring.stateFolder, 'web-ui/random-secret'),
      SCOPE: 'openid profile email offline_access read:data read:data2',
    },
  })

  // Scenario 6: the token cache
  const api = suite.add({
    name: 'token-cache-api',
    folder: 'token-cache/api',
    shows: 'requires a valid token',
    ports: { PORT: 'http:8084' },
    calls: { JWT_FACTORY_URL: jwtFactory },
  })
  const auth = suite.add({
    name: 'token-cache-auth',
    folder: 'token-cache/auth',
    shows: 'issues tokens of users',
    ports: { PORT: 'http:8083' },
    calls: { JWT_FACTORY_URL: jwtFactory },
  })
  const proxies = ([8080, 8081] as const).map((port, index) =>
    suite.add({
      name: `token-cache-proxy${index + 1}`,
      folder: 'token-cache/proxy',
      shows: 'adds the caller’s cached token',
      ports: { PORT: `http:${port}` },
      calls: { JWT_FACTORY_URL: jwtFactory, API_URL: api, AUTH_URL: auth },
      env: { PROXY_NAME: `proxy${index + 1}`, ASSETS_FOLDER: 'token-cache/proxy/public' },
    }),
  )
  const loadBalancer = suite.add({
    name: 'token-cache-load-balancer',
    folder: 'token-cache/load-balancer',
    shows: 'balances requests between the proxies',
    ports: { PORT: 'http:8000' },
    calls: { PROXY_URLS: proxies },
  })

  // A service's own URL, and those of services that start later and are not required.
  identityProvider.knows({ ISSUER: identityProvider, WEB_UI_URL: webUi })
  sseGateway.knows({ HOPS_ISSUER: webUi })
  webUi.knows({ BASE_URL: webUi, TOKEN_CACHE_URL: loadBalancer, TOKEN_CACHE_PROXY_URLS: proxies })
  suite.allKnow({ HOPS_URL: sseServer.TCP_PORT })

  return suite.processes
}
