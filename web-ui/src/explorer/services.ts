import { type Handler, HttpError } from '@hallpass/service-kit'
import { createLauncherClient, type LauncherClient } from '@hallpass/service-kit/launcher'
import express, { type Router } from 'express'

/** This service, which serves the page that would have to start it again. */
const OWN_NAME = 'web-ui'

/** Creates the routes under `/explorer/services`, which stop and start single services of the suite of `npm start`. */
export function serviceRoutes({
  launcherSocket,
  baseUrl,
}: {
  launcherSocket: string
  baseUrl: string
}): Router {
  const launcher = createLauncherClient(launcherSocket)
  const routes = express.Router()
  routes.get('/', listServices(launcher))
  routes.post('/:name/:verb', requireOwnPage(baseUrl), changeService(launcher))
  return routes
}

function listServices(launcher: LauncherClient): Handler {
  return async (_request, response) => {
    const { services } = await launcher.suite()
    response.set('cache-control', 'no-store').json({
      services: services.map(({ name, shows, state, needs, restarts, lastEnd }) => ({
        name,
        shows,
        state,
        needs,
        restarts,
        lastEnd,
        ...(name === OWN_NAME
          ? { fixed: 'It serves this page. In a terminal: npx hallpass service stop web-ui' }
          : {}),
      })),
    })
  }
}

function changeService(launcher: LauncherClient): Handler {
  return async (request, response) => {
    const { name, verb } = request.params as { name: string; verb: string }
    if (verb !== 'stop' && verb !== 'start')
      throw new HttpError(404, 'no_such_endpoint', 'Expected the action stop or start.')
    if (name === OWN_NAME && verb === 'stop')
      throw new HttpError(
        409,
        'serves_this_page',
        'web-ui serves this page and cannot be stopped from it. In a terminal: npx hallpass service stop web-ui',
      )
    await launcher[verb](name)
    response.status(204).end()
  }
}

/**
 * Rejects requests of other pages. Browsers send the origin with every POST, so a request without one is rejected too.
 */
const requireOwnPage =
  (baseUrl: string): Handler =>
  (request, _response, next) => {
    if (request.headers.origin !== new URL(baseUrl).origin)
      throw new HttpError(403, 'foreign_origin', 'Only the explorer’s page can stop and start services.')
    next()
  }
