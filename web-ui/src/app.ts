import { Assets } from '@hallpass/pages'
import {
  type Clock,
  formBody,
  httpService,
  type Logger,
  noSuchEndpoint,
  notFound,
  systemClock,
  UnusableKeys,
} from '@hallpass/service-kit'
import { SealedStore } from '@hallpass/token-store'
import type { Request } from 'express'
import { Backends } from './backends/index.ts'
import type { Config } from './config.ts'
import { explorerRoutes } from './explorer/index.ts'
import {
  askToLogOut,
  endByProvider,
  endSessions,
  finishLogin,
  LoginAttempts,
  loadSecrets,
  logIn,
  logOut,
  renewFrom,
  showSessions,
  UsedTokens,
} from './login/index.ts'
import { LIVE_PAGES } from './pages/index.ts'
import { OpenidClient } from './provider/index.ts'
import { isolate, renderProblem, showDecoder, showHome, showProfile } from './routes/index.ts'
import {
  Cookies,
  GatewayVisitors,
  MAX_SESSIONS,
  OwnSessions,
  SessionStore,
  SessionVisitors,
  TokenRenewal,
} from './sessions/index.ts'

export { loadConfig } from './config.ts'

/** The largest form has one field, a token. */
const MAX_FORM_BYTES = 16 * 1024

/** The pages in the navigation. */
const PAGES = [
  ['/', 'Home'],
  ['/profile', 'Profile'],
  ['/decoder', 'Decoder'],
] as const
const EXPLORER_PAGES = [
  ['/explorer', 'Explorer'],
  ...LIVE_PAGES.map(({ path, label }) => [path, label] as const),
] as const

export async function createApp(config: Config, log: Logger, clock: Clock = systemClock) {
  const { baseUrl, login, gateway, clockToleranceSeconds: leewaySeconds } = config
  // The explorer binds its stream to a session, and behind a gateway there is none.
  const explores = login !== undefined && config.explorer.isOn
  const backends = new Backends(config)
  const site = {
    assets: new Assets(config.assetsFolder),
    pages: explores ? [...EXPLORER_PAGES, ...PAGES] : PAGES,
    loginUrl: login && `${baseUrl}/login`,
    gatewayLogoutPath: gateway.provider && gateway.logoutPath,
  }
  const form = formBody({ maxBytes: MAX_FORM_BYTES })
  const listeners = [{ name: 'http', host: config.host, port: config.port }] as const
  const common = { name: 'web-ui', log, config, listeners, contentSecurityPolicy: false } as const

  const unusable = new UnusableKeys(log)
  const shared = { leewaySeconds, unusable, log, clock }
  const { warnings } = unusable

  if (!login) {
    const provider =
      gateway.provider &&
      new OpenidClient({
        ...gateway.provider,
        ...shared,
        // Only its name and keys are needed.
        clientAuth: { method: 'none' },
        redirectUri: baseUrl,
      })
    const visitors = new GatewayVisitors({ idTokens: provider?.idTokens, log })
    return httpService({
      ...common,
      warnings,
      routes: (routes) => {
        routes.use(site.assets.mountedAt, site.assets.routes)
        routes.use(isolate(baseUrl))
        routes.get('/', showHome(site, visitors, backends, clock))
        routes.get('/profile', showProfile(site, visitors, clock))
        routes.get('/decoder', showDecoder(site, visitors))
        routes.use(noSuchPage)
        routes.use(renderProblem(site, log))
      },
    })
  }

  const secrets = await loadSecrets(login)
  const provider = new OpenidClient({
    ...login.provider,
    ...login.request,
    ...shared,
    clientAuth: secrets.clientAuth,
    redirectUri: `${baseUrl}/callback`,
    postLogoutRedirectUri: `${baseUrl}/`,
  })
  const cookies = new Cookies({ insecure: config.insecureCookies })
  const attempts = new LoginAttempts(secrets.random, cookies, clock)
  const store = await SealedStore.open({
    place: login.store,
    name: 'web-ui',
    secret: secrets.random,
    // A web UI of another provider, or with another client, has other users.
    scope: JSON.stringify([login.provider.issuerUrl, login.provider.clientId]),
    common: { RANDOM_SECRET: secrets.random },
    maxEntries: MAX_SESSIONS,
    clock,
    onNotice: (notice) => log.warn(notice),
    remedy: 'Delete it: all users must log in again.',
  })
  const sessions = new SessionStore({ store, maxMs: login.sessionMaxMs, idleMs: login.sessionIdleMs, clock })
  const renewal = new TokenRenewal({ sessions, renew: renewFrom(provider), log, clock })
  const visitors = new SessionVisitors({ sessions, renewal, cookies, clock })
  const explorer = explores ? await explorerRoutes({ config, site, visitors, cookies, clock }) : undefined
  const { sessionMaxMs, logoutMethod } = login
  const parts = { site, provider, attempts, sessions, cookies, sessionMaxMs, logoutMethod, log, clock }
  const own = { ...parts, visitors, ownSessions: new OwnSessions(sessions) }
  return httpService({
    ...common,
    warnings,
    checks: { sessions: () => store.check() },
    onStop: async () => {
      await renewal.settle()
      await store.close()
    },
    routes: (routes) => {
      routes.use(site.assets.mountedAt, site.assets.routes)
      routes.use(isolate(baseUrl))
      if (explorer) routes.use(explorer)
      routes.get('/', showHome(site, visitors, backends, clock))
      routes.get('/profile', showProfile(site, visitors, clock))
      routes.get('/decoder', showDecoder(site, visitors))
      if (!explorer) routes.use(['/explorer', '/.well-known/jwks.json'], explorerIsOff)
      routes.get('/login', logIn(provider, attempts, baseUrl))
      routes.get('/callback', finishLogin(parts))
      routes.get('/logout', askToLogOut(site, visitors))
      routes.post('/logout', form, logOut(parts))
      routes.get('/sessions', showSessions(own))
      routes.post('/sessions/end', form, endSessions(own))
      routes.post(
        '/backchannel-logout',
        form,
        endByProvider({
          idTokens: provider.idTokens,
          clientId: login.provider.clientId,
          sessions,
          used: new UsedTokens(store.pinned),
          leewaySeconds,
          log,
          clock,
        }),
      )
      routes.use(noSuchPage)
      routes.use(renderProblem(site, log))
    },
  })
}

function explorerIsOff(): never {
  throw notFound(
    'explorer_off',
    'The explorer is off here. It is part of development mode (npm start); set EXPLORER=true to turn it on.',
  )
}

function noSuchPage(request: Request): never {
  throw noSuchEndpoint(request)
}
