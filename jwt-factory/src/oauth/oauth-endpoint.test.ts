import { HttpError, httpService, silentLog } from '@hallpass/service-kit'
import { developmentConfig, useService } from '@hallpass/service-kit/testing'
import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { OAUTH_ENDPOINTS, oauthErrors } from './oauth-endpoint.ts'

describe('an error at an OAuth endpoint', () => {
  let thrown: unknown
  const service = useService(() =>
    httpService({
      name: 'oauth',
      log: silentLog,
      config: developmentConfig,
      listeners: [{ name: 'http', host: '127.0.0.1', port: 0 }],
      routes: (app) => {
        app.post('/token', () => {
          throw thrown
        })
        app.use(OAUTH_ENDPOINTS, oauthErrors)
      },
    }),
  )

  it.each<[Error, number, string, string]>([
    [
      new HttpError(503, 'state_unavailable', 'The store does not answer.', {
        headers: { 'retry-after': '1' },
      }),
      503,
      'temporarily_unavailable',
      'The store does not answer.',
    ],
    [
      new HttpError(429, 'too_many', 'Wait.', { headers: { 'retry-after': '1' } }),
      429,
      'temporarily_unavailable',
      'Wait.',
    ],
    [new HttpError(502, 'peer_unreachable', 'No answer.'), 502, 'server_error', 'No answer.'],
    [new Error('secret'), 500, 'server_error', 'Internal error. The cause is in the log of this service.'],
    [new HttpError(403, 'foreign_origin', 'Not from a link.'), 403, 'invalid_request', 'Not from a link.'],
    [
      new HttpError(400, 'invalid_scope', 'A “scope” with \\ and\n"quotes": §3.3, ü.'),
      400,
      'invalid_scope',
      "A 'scope' with ? and?'quotes': section 3.3, ?.",
    ],
  ])('is answered as RFC 6749 §5.2 says: %s', async (error, status, name, description) => {
    thrown = error
    const answer = await request(service.url()).post('/token')
    expect([answer.status, answer.body]).toEqual([status, { error: name, error_description: description }])
    expect(answer.headers['cache-control']).toBe('no-store')
    expect(answer.headers['retry-after']).toBe(
      error instanceof HttpError ? error.headers['retry-after'] : undefined,
    )
  })
})
