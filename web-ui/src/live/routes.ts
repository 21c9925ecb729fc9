import { type Handler, jsonBody } from '@hallpass/service-kit'
import express, { type Router } from 'express'
import type { CheckSources } from './check-sources.ts'
import type { LiveIdentities } from './live-identities.ts'
import type { LiveKeys } from './live-keys.ts'
import type { LiveStreams } from './live-streams.ts'
import type { LiveTokenCache } from './live-token-cache.ts'
import type { Measurements } from './measurements.ts'

export interface LiveParts {
  readonly keys: LiveKeys
  readonly streams: LiveStreams
  readonly tokenCache: LiveTokenCache
  readonly identities: LiveIdentities
  readonly measurements: Measurements
  readonly sources: CheckSources
}

type Body = Readonly<Record<string, unknown>>

/** Creates the routes of the live views, under `/live`; requests from other origins are rejected before these. */
export function liveRoutes({
  keys,
  streams,
  tokenCache,
  identities,
  measurements,
  sources,
}: LiveParts): Router {
  const routes = express.Router()
  const show =
    (read: () => unknown): Handler =>
    async (_request, response) => {
      response.set('cache-control', 'no-store').json(await read())
    }
  const act =
    (work: (body: Body) => Promise<unknown>): Handler =>
    async (request, response) => {
      await work(request.body as Body)
      response.status(204).end()
    }
  const body = jsonBody()
  routes.get(
    '/keys',
    show(() => keys.show()),
  )
  routes.post(
    '/keys/rotate',
    body,
    act(({ holder, keyId }) => keys.rotate(holder, keyId)),
  )
  routes.get(
    '/streams',
    show(() => streams.show()),
  )
  routes.post(
    '/streams/revoke',
    body,
    act((revocation) => streams.revoke(revocation)),
  )
  routes.get(
    '/token-cache',
    show(() => tokenCache.show()),
  )
  routes.post('/token-cache/visit', body, async (request, response) => {
    response.json(await tokenCache.visit((request.body as Body).user))
  })
  routes.post(
    '/token-cache/block',
    body,
    act(({ user }) => tokenCache.block(user)),
  )
  routes.post(
    '/token-cache/unblock',
    body,
    act(({ user }) => tokenCache.unblock(user)),
  )
  routes.post(
    '/token-cache/release',
    body,
    act(({ key }) => tokenCache.release(key)),
  )
  routes.get(
    '/identities',
    show(() => identities.show()),
  )
  routes.post(
    '/identities/rotate',
    body,
    act(({ kind }) => identities.rotate(kind)),
  )
  routes.post(
    '/identities/revoke',
    body,
    act(({ id }) => identities.setRevoked(id, true)),
  )
  routes.post(
    '/identities/restore',
    body,
    act(({ id }) => identities.setRevoked(id, false)),
  )
  routes.get(
    '/sources',
    show(() => sources.links),
  )
  routes.post('/measurements', body, async (request, response) => {
    const { scenario, requests } = request.body as Body
    response.json(await measurements.measure(scenario, requests))
  })
  return routes
}
