import { type Handler, HttpError, textBody, toHttpError } from '@hallpass/service-kit'
import { StoreFullError, StoreUnavailableError } from '@hallpass/token-store'
import express, { type ErrorRequestHandler, type Router } from 'express'
import { type KeyValues, keyvalError } from '../operators/index.ts'
import { addKey } from './add-key.ts'
import { emptyZone } from './empty-zone.ts'
import { listZones } from './list-zones.ts'
import { modifyKey } from './modify-key.ts'
import { readZone } from './read-zone.ts'

/** Enough for a hundred blocks in one POST. */
const MAX_BODY_BYTES = 64 * 1024

/** The versions of nginx's API that have key-value zones. */
const VERSIONS = ['1', '2', '3', '4', '5', '6', '7', '8', '9']

/** Returns the routes of the key-value API, as nginx documents it (ngx_http_api_module, /http/keyvals/). */
export function keyvals(tokens: KeyValues): Router {
  const router = express.Router({ strict: false })
  const body = textBody({ maxBytes: MAX_BODY_BYTES })

  router.use('/:version', (request, _response, next) => {
    if (!VERSIONS.includes(request.params.version as string))
      throw keyvalError(404, 'UnknownVersion', 'unknown version')
    next()
  })
  router.get('/:version/http/keyvals', listZones(tokens))
  router.get('/:version/http/keyvals/tokens', readZone(tokens))
  router.post('/:version/http/keyvals/tokens', body, addKey(tokens))
  router.patch('/:version/http/keyvals/tokens', body, modifyKey(tokens))
  router.delete('/:version/http/keyvals/tokens', emptyZone(tokens))
  router.all('/:version/http/keyvals/tokens', methodDisabled)
  router.all('/:version/http/keyvals/:zone', () => {
    throw keyvalError(404, 'KeyvalNotFound', 'keyval not found')
  })
  router.use(renderLikeNginx)
  return router
}

const methodDisabled: Handler = () => {
  throw keyvalError(405, 'MethodDisabled', 'method disabled')
}

const CODES: Readonly<Record<number, string>> = { 400: 'BodyReadError', 413: 'RequestEntityTooLarge' }

const renderLikeNginx: ErrorRequestHandler = (thrown: unknown, _request, response, _next) => {
  const error =
    thrown instanceof StoreUnavailableError
      ? new HttpError(
          503,
          thrown instanceof StoreFullError ? 'StoreFull' : 'StoreUnavailable',
          thrown.message,
          {
            cause: thrown,
          },
        )
      : toHttpError(thrown)
  const { status, message } = error
  const own = (error.body as { error?: { status?: number } }).error?.status !== undefined
  const code = own || error.status === 503 ? error.code : (CODES[status] ?? error.code)
  throw new HttpError(status, code, message, {
    cause: error.cause,
    headers: error.headers,
    body: {
      error: { status, text: message, code },
      request_id: response.getHeader('x-request-id'),
      href: 'https://nginx.org/en/docs/http/ngx_http_api_module.html',
    },
  })
}
