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

  const answerTo = async (error: Error) => {
    thrown = error
    const { status, body, headers } = await request(service.url()).post('/token')
    expect(headers['cache-control']).toBe('no-store')
    return [status, body, headers['retry-after']]
  }

  it.each<[HttpError, number, string, string]>([
    [
      new HttpError(429, 'too_many', 'Wait.', { headers: { 'retry-after': '1' } }),
      429,
      'temporarily_unavailable',
      'Wait.',
    ],
    [new HttpError(403, 'foreign_origin', 'Not from a link.'), 403, 'invalid_request', 'Not from a link.'],
    [
      new HttpError(400, 'invalid_scope', 'A “scope” with \\ and\n"quotes": §3.3, ü.'),
      400,
      'invalid_scope',
      "A 'scope' with ? and?'quotes': section 3.3, ?.",
    ],
  ])('of the client is answered as RFC 6749 §5.2 says: %s', async (error, status, name, why) => {
    const retry = error.headers['retry-after']
    expect(await answerTo(error)).toEqual([status, { error: name, error_description: why }, retry])
  })

  it('of the service is answered as everywhere', async () => {
    const [code, message] = ['state_unavailable', 'The store does not answer.']
    expect(await answerTo(new HttpError(503, code, message, { headers: { 'retry-after': '1' } }))).toEqual([
      503,
      { error: { code, message } },
      '1',
    ])
    expect(await answerTo(new Error('secret'))).toEqual([
      500,
      {
        error: {
          code: 'internal_error',
          message: 'Internal error. The cause is in the log of this service.',
        },
      },
      undefined,
    ])
  })
})
