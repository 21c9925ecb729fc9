import {
  type Clock,
  currentTrace,
  type Handler,
  HttpError,
  jsonBody,
  runInTrace,
} from '@hallpass/service-kit'
import express, { type Router } from 'express'
import type { Config } from '../config.ts'
import { GatewayDoor, GatewayStreams, PathWatch, WatcherTokens } from '../gateway/index.ts'
import {
  CheckSources,
  LiveIdentities,
  LiveKeys,
  LiveStreams,
  LiveTokenCache,
  liveRoutes,
  Measurements,
} from '../live/index.ts'
import type { Site } from '../pages/index.ts'
import { LIVE_PAGES } from '../pages/index.ts'
import { leadStrangers, showExplorer, showLive, showSource } from '../routes/index.ts'
import type { Cookies, VisitorSource } from '../sessions/index.ts'
import { listRuns, runScenario } from './run-scenario.ts'
import { ScenarioRunner } from './scenario-runner.ts'
import { serviceRoutes } from './services.ts'
import { StreamScenario } from './stream-scenario.ts'
import { renewHops, watchHops } from './watch-hops.ts'
import { watcherOf } from './watcher.ts'

export interface ExplorerParts {
  readonly config: Config
  readonly site: Site
  readonly visitors: VisitorSource
  readonly cookies: Cookies
  readonly clock: Clock
}

/**
 * Creates the routes of the explorer and its live views, and the JWKS with which the gateway verifies watchers' tokens.
 */
export async function explorerRoutes({
  config,
  site,
  visitors,
  cookies,
  clock,
}: ExplorerParts): Promise<Router> {
  const { explorer } = config
  const tokens = await WatcherTokens.create(config.baseUrl, clock)
  const door = new GatewayDoor(explorer.hopsStreamUrl, explorer.caFile)
  const streams = new GatewayStreams({ door, path: new URL(explorer.hopsStreamUrl).pathname, tokens })
  const runner = new ScenarioRunner(
    explorer,
    new StreamScenario({ door, sseServerUrl: explorer.sseServerUrl, tokens }),
  )
  const sources = new CheckSources(explorer)
  const watcher = (request: express.Request, response: express.Response) =>
    watcherOf(request, response, visitors, cookies)

  const routes = express.Router()
  routes.get('/', leadStrangers(visitors, '/explorer'))
  routes.get('/explorer', showExplorer(site, visitors, { services: explorer.launcherSocket !== undefined }))
  routes.use(['/explorer/runs', '/explorer/hops', '/live'], refuseOtherHosts(config.baseUrl))
  routes.use(['/explorer/hops', '/live'], unwatched)
  routes.get('/explorer/runs', unwatched, listRuns(runner))
  if (explorer.launcherSocket !== undefined)
    routes.use(
      '/explorer/services',
      refuseOtherHosts(config.baseUrl),
      unwatched,
      serviceRoutes({ launcherSocket: explorer.launcherSocket, baseUrl: config.baseUrl }),
    )
  routes.post('/explorer/runs', jsonBody(), runScenario(runner))
  routes.get('/explorer/hops', watchHops(streams, new PathWatch(explorer.sseServerUrl, door), watcher))
  routes.post('/explorer/hops/:stream', renewHops(streams, watcher))
  routes.get('/.well-known/jwks.json', (_request, response) => void response.json(tokens.keySet))
  for (const page of LIVE_PAGES) routes.get(page.path, showLive(page, site, visitors))
  routes.get('/source', showSource(sources, site, visitors))
  routes.use(
    '/live',
    liveRoutes({
      keys: new LiveKeys(explorer),
      streams: new LiveStreams(door, tokens),
      tokenCache: new LiveTokenCache(explorer),
      identities: new LiveIdentities(explorer),
      measurements: new Measurements(explorer),
      sources,
    }),
  )
  return routes
}

/** Watching is not reported as a hop: the explorer's own requests would appear between the runs that it shows. */
const unwatched: Handler = (_request, _response, next) => {
  const trace = currentTrace()
  if (trace) runInTrace({ ...trace, sampled: false }, next)
  else next()
}

/**
 * Rejects DNS rebinding: for its browser, a page whose host name points to this machine has the origin of this service.
 */
const refuseOtherHosts =
  (baseUrl: string): Handler =>
  (request, _response, next) => {
    if (request.headers.host !== new URL(baseUrl).host)
      throw new HttpError(403, 'foreign_host', `Requests must use the host of ${baseUrl}.`)
    next()
  }
