/**
 * The whole system on one page: every process, the ports it listens on, and whom it talks to.
 * `npm start`, the system tests and the manifest tests all read it from here.
 */

/** `https:8443` is a port that speaks TLS; the variable it stands under tells the service to listen there. */
type Ports = Readonly<Record<string, `http:${number}` | `https:${number}` | `tcp:${number}`>>

export interface SuiteProcess {
  readonly name: string
  /** The workspace folder, e.g. `token-cache/proxy`. */
  readonly folder: string
  /** What a reader of the start table learns from it. */
  readonly shows: string
  readonly env: Readonly<Record<string, string>>
  /** URL of each listener by the variable that sets its port. */
  readonly urls: Readonly<Record<string, string>>
  /** Where `/readyz` answers. */
  readonly readyz: string
  /** The services that it calls, and without which some of what it does fails. */
  readonly needs: readonly string[]
}

export interface Wiring {
  /** The port to use for a documented one: itself for `npm start`, a free one in a test. */
  readonly port: (documented: number) => number
  /** Absolute path. */
  readonly stateFolder: string
}

export function wireSuite({ port, stateFolder }: Wiring): SuiteProcess[] {
  const processes: SuiteProcess[] = []

  /** Declares a process; it may only refer to those declared above it, and starts after them. */
  function add(
    name: string,
    shows: string,
    ports: Ports,
    env: Readonly<Record<string, string>> = {},
    { folder = name, alsoNeeds = [] }: { folder?: string; alsoNeeds?: readonly string[] } = {},
  ): Readonly<Record<string, string>> {
    const listeners = Object.entries(ports).map(([variable, listener]) => {
      const [scheme, documented] = listener.split(':') as [string, string]
      const actual = port(Number(documented))
      return { variable, actual, url: `${scheme}://localhost:${actual}` }
    })
    const urls = Object.fromEntries(listeners.map(({ variable, url }) => [variable, url]))
    const readyz = `${Object.values(urls).find((url) => url.startsWith('http:')) ?? Object.values(urls).find((url) => url.startsWith('https:'))}/readyz`
    processes.push({
      name,
      folder,
      shows,
      urls,
      readyz,
      needs: [...processes.filter((other) => isNamedIn(env, other)).map((other) => other.name), ...alsoNeeds],
      env: {
        STATE_FOLDER: stateFolder,
        HOPS_URL: `tcp://localhost:${port(7001)}`,
        ...Object.fromEntries(listeners.map(({ variable, actual }) => [variable, String(actual)])),
        ...env,
      },
    })
    return urls
  }

  const jwtFactory = add('jwt-factory', 'issues, verifies and rotates', { PORT: 'http:5555' })
  const serviceB = add(
    'service-b',
    'is called in scenarios 1–4',
    { PORT: 'http:3001', HTTPS_PORT: 'https:8443' },
    { JWT_FACTORY_URL: jwtFactory.PORT as string },
  )
  const serviceC = add(
    'service-c',
    'is called in scenarios 2 and 4',
    { PORT: 'http:3002', HTTPS_PORT: 'https:9443' },
    { JWT_FACTORY_URL: jwtFactory.PORT as string },
  )
  add(
    'spiffe-agent',
    'says who a workload is',
    { PORT: 'http:8446', BUNDLE_ENDPOINT_PORT: 'https:8447' },
    {},
    { folder: 'spiffe/agent' },
  )
  const spiffeServer = add(
    'spiffe-server',
    'is called in scenario 5',
    { PORT: 'https:8445', HEALTH_PORT: 'http:8449' },
    {},
    { folder: 'spiffe/server', alsoNeeds: ['spiffe-agent'] },
  )
  const spiffeProxy = add(
    'spiffe-proxy',
    'ends TLS on the way to it',
    { PORT: 'https:8444', HEALTH_PORT: 'http:8448' },
    { SERVER_URL: spiffeServer.PORT as string },
    { folder: 'spiffe/proxy', alsoNeeds: ['spiffe-agent'] },
  )
  add(
    'service-a',
    'calls in scenarios 1–5',
    { PORT: 'http:3000' },
    {
      JWT_FACTORY_URL: jwtFactory.PORT as string,
      SERVICE_B_URL: serviceB.PORT as string,
      SERVICE_B_TLS_URL: serviceB.HTTPS_PORT as string,
      SERVICE_C_URL: serviceC.PORT as string,
      SERVICE_C_TLS_URL: serviceC.HTTPS_PORT as string,
      SPIFFE_PROXY_URL: spiffeProxy.PORT as string,
    },
    { alsoNeeds: ['spiffe-agent'] },
  )

  const sseServer = add('sse-server', 'streams what is published', {
    TCP_PORT: 'tcp:7001',
    HTTP_PORT: 'http:8001',
  })
  add(
    'sse-gateway',
    'ends a stream with its token',
    { PORT: 'https:7143', SECOND_PORT: 'https:9090' },
    {
      UPSTREAM_URL: `${sseServer.HTTP_PORT}/events`,
      HOPS_UPSTREAM_URL: `${sseServer.HTTP_PORT}/topics/hops`,
      // Forward: who may watch the hops is said by the web UI, which starts last.
      HOPS_ISSUER: `http://localhost:${port(4000)}`,
    },
  )

  const audience = 'https://webui'
  const identityProvider = add(
    'identity-provider',
    'logs people in',
    { PORT: 'http:9000' },
    // The one reference forward: the provider must know where its only client lives.
    {
      WEB_UI_URL: `http://localhost:${port(4000)}`,
      ISSUER: `http://localhost:${port(9000)}`,
      AUDIENCE: audience,
    },
  )
  const guard = { ISSUER: identityProvider.PORT as string, AUDIENCE: audience }
  const backend = add(
    'backend-api',
    'lets in who may read:data',
    { PORT: 'http:3003' },
    { ...guard, ENDPOINT: '/data', REQUIRED_SCOPES: 'read:data' },
  )
  const secondBackend = add(
    'second-backend-api',
    'lets in who may read:data2',
    { PORT: 'http:3004' },
    { ...guard, ENDPOINT: '/data2', REQUIRED_SCOPES: 'read:data2' },
    { folder: 'backend-api' },
  )
  add(
    'web-ui',
    'pages, for a person',
    { PORT: 'http:4000' },
    {
      // One script for each page, where web-ui/public has their sources.
      ASSETS_FOLDER: '.hallpass/bundles/web-ui-public',
      SHOULD_AUTHENTICATE: 'true',
      ISSUER_BASE_URL: identityProvider.PORT as string,
      AUTH0_CLIENT_ID: 'web-ui',
      AUDIENCE: audience,
      SCOPE: 'openid profile email offline_access read:data read:data2',
      BASE_URL: `http://localhost:${port(4000)}`,
      SERVICE_A_URL: `http://localhost:${port(3000)}`,
      JWT_FACTORY_URL: jwtFactory.PORT as string,
      SSE_SERVER_URL: sseServer.HTTP_PORT as string,
      // Forward: the token cache starts after it.
      TOKEN_CACHE_URL: `http://localhost:${port(8000)}`,
      TOKEN_CACHE_PROXY_URLS: `http://localhost:${port(8080)},http://localhost:${port(8081)}`,
      HOPS_STREAM_URL: `https://localhost:${port(7143)}/hops`,
      BACKEND_SERVICE_URL: backend.PORT as string,
      SECOND_BACKEND_SERVICE_URL: secondBackend.PORT as string,
    },
  )

  const tokenCacheApi = add(
    'token-cache-api',
    'answers to a good token',
    { PORT: 'http:8084' },
    { JWT_FACTORY_URL: jwtFactory.PORT as string },
    { folder: 'token-cache/api' },
  )
  const tokenCacheAuth = add(
    'token-cache-auth',
    'makes the token of a user, once',
    { PORT: 'http:8083' },
    { JWT_FACTORY_URL: jwtFactory.PORT as string },
    { folder: 'token-cache/auth' },
  )
  const tokenCacheProxies = ([8080, 8081] as const).map((documented, index) =>
    add(
      `token-cache-proxy${index + 1}`,
      'adds the cached token of the caller',
      { PORT: `http:${documented}` },
      {
        PROXY_NAME: `proxy${index + 1}`,
        AUTH_URL: tokenCacheAuth.PORT as string,
        API_URL: tokenCacheApi.PORT as string,
        JWT_FACTORY_URL: jwtFactory.PORT as string,
        ASSETS_FOLDER: 'token-cache/proxy/public',
      },
      { folder: 'token-cache/proxy' },
    ),
  )
  add(
    'token-cache-load-balancer',
    'spreads requests over the proxies',
    { PORT: 'http:8000' },
    { PROXY_URLS: tokenCacheProxies.map(({ PORT }) => PORT).join(',') },
    { folder: 'token-cache/load-balancer' },
  )

  return processes
}

/** Whether a process is told the URL of another. */
const isNamedIn = (env: Readonly<Record<string, string>>, { urls }: SuiteProcess) =>
  Object.values(env).some((value) => Object.values(urls).some((url) => value.includes(url)))
