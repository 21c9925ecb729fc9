import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ParsedUrlQuery, parse } from 'node:querystring'
import type { Express } from 'express'

/** A request as a hot route sees it: Node's own, with what the path and the body said. */
export interface RoutedRequest extends IncomingMessage {
  params: Readonly<Record<string, string | readonly string[]>>
  body?: unknown
}

/** A middleware or route that asks nothing of Express, so that it can answer with it and without it. */
export type Handler = (
  request: RoutedRequest,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => unknown

/** Registers a route at both places. */
export type AddRoute = (path: string, ...handlers: readonly [Handler, ...Handler[]]) => void

interface Route {
  readonly path: string
  /** The name of the last segment, when it stands for anything. */
  readonly parameter: string | undefined
  readonly handlers: readonly Handler[]
}

/** A segment that means itself; one with an escape or a stranger sign is left to Express, which decodes and refuses. */
const PLAIN_SEGMENT = /^[\w.-]+$/

/**
 * The few routes that carry a service's load. A look-up by method and path answers them before Express is asked, which
 * takes four times as long to find a route as Node takes to serve it (docs/decisions/011-hot-routes.md). Whatever is
 * not exactly such a path, HEAD and trailing slashes too, is Express' business, where the same handlers stand.
 */
export class HotRoutes {
  readonly #routes = new Map<string, Route>()
  readonly #app: Express

  constructor(app: Express) {
    this.#app = app
  }

  readonly get: AddRoute = (path, ...handlers) => {
    this.#app.get(path, ...handlers)
    this.#add('GET', path, handlers)
  }

  readonly post: AddRoute = (path, ...handlers) => {
    this.#app.post(path, ...handlers)
    this.#add('POST', path, handlers)
  }

  #add(method: string, path: string, handlers: readonly Handler[]) {
    const [, prefix = path, parameter] = /^(.*\/):(\w+)$/.exec(path) ?? []
    this.#routes.set(`${method} ${prefix}`, { path, parameter, handlers })
  }

  /**
   * Answers the request if one of the routes is its; what a handler throws, or rejects with, goes to `fail`.
   * @returns whether it was.
   */
  answer(request: IncomingMessage, response: ServerResponse, fail: (error: unknown) => void): boolean {
    const { method, url = '/' } = request
    const queryAt = url.indexOf('?')
    const path = queryAt === -1 ? url : url.slice(0, queryAt)
    const segmentAt = path.lastIndexOf('/') + 1
    const exact = this.#routes.get(`${method} ${path}`)
    const route = exact ?? this.#routes.get(`${method} ${path.slice(0, segmentAt)}`)
    if (!route) return false
    const { parameter, handlers } = route
    let params = {}
    if (parameter !== undefined) {
      const segment = path.slice(segmentAt)
      if (!PLAIN_SEGMENT.test(segment)) return false
      params = { [parameter]: segment }
    }
    const routed: RoutedRequest = Object.assign(request, { params, route })
    let next = 0
    const goOn = (error?: unknown) => {
      if (error !== undefined) return fail(error)
      try {
        const handled = handlers[next++]?.(routed, response, goOn)
        if (handled instanceof Promise) handled.catch(fail)
      } catch (thrown) {
        fail(thrown)
      }
    }
    goOn()
    return true
  }
}

/** The query of a request; a name that comes twice has a list. */
export function queryOf({ url = '' }: IncomingMessage): ParsedUrlQuery {
  const queryAt = url.indexOf('?')
  return queryAt === -1 ? {} : parse(url.slice(queryAt + 1))
}
