import http from 'node:http'
import { describeRecord, type RecordedAnswer } from '@hallpass/service-kit/testing'
import { afterEach, beforeEach } from '@jest/globals'
import { startTier, type TestTier } from '../testing/tier.ts'

let tier: TestTier
beforeEach(async () => {
  tier = await startTier({ proxies: 1 })
  // An upstream that sets IDs of its own, which must not be returned in addition to the caller's.
  tier.answer = (_request, response) => response.setHeader('x-request-id', 'of-the-api').end('{}')
})
afterEach(() => tier.stop())

const ask = async (path: string, user: string, headers: Readonly<Record<string, string>>) => {
  const answer = await tier.get(0, user, { path, headers })
  await answer.text()
  return { status: answer.status, requestId: answer.headers.get('x-request-id') }
}

describeRecord('the proxy of the token cache', () => ({
  service: 'token-cache-proxy',
  path: '/any/path',
  route: 'forwarded',
  ask: (headers) => ask('/any/path?q=hidden', 'user1', headers),
  reason: 'malformed_identity',
  beRefused: (headers) => ask('/', '', headers),
  leave: (headers) => {
    tier.answer = () => {}
    return tier.get(0, 'user1', { headers, signal: AbortSignal.timeout(200) }).catch(() => {})
  },
  log: () => tier.lines.join(''),
  metrics: async () => (await tier.operate(0, '/metrics')).text(),
}))

const upgrade = async (user: string, headers: Readonly<Record<string, string>>, signal?: AbortSignal) => {
  const fields = { ...tier.headersOf(user), ...headers, connection: 'upgrade', upgrade: 'websocket' }
  return new Promise<RecordedAnswer>((resolve, reject) => {
    http
      .get(`${tier.proxies[0]?.url}/any/path?q=hidden`, { headers: fields, signal }, (answer) => {
        const { statusCode: status = 0 } = answer
        answer.resume().on('end', () => resolve({ status, requestId: answer.headers['x-request-id'] }))
      })
      .on('error', reject)
  })
}

describeRecord('an upgrade at the proxy of the token cache', () => ({
  service: 'token-cache-proxy',
  path: '/any/path',
  route: 'forwarded',
  ask: (headers) => upgrade('user1', headers),
  reason: 'malformed_identity',
  beRefused: (headers) => upgrade('', headers),
  leave: (headers) => {
    tier.answer = () => {}
    return upgrade('user1', headers, AbortSignal.timeout(200)).catch(() => {})
  },
  log: () => tier.lines.join(''),
  metrics: async () => (await tier.operate(0, '/metrics')).text(),
}))
