import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { LiveTokenCache } from './live-token-cache.ts'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

/** Starts a proxy that accepts every change, and reports the given state of the tier. */
async function startProxy(name: string, tier: { peers?: object[]; absent?: string[] } = {}) {
  const peers = tier.peers ?? [{ name, blocks: { fingerprint: '1' } }]
  const calls: string[] = []
  const server = createServer(({ method, url }, response) => {
    calls.push(`${method} ${url}`)
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify(
        url === '/status' ? { name, peers, absent: tier.absent ?? [] } : { key: 'user1', blocked: false },
      ),
    )
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}
const cacheOf = (...tokenCacheProxyUrls: string[]) =>
  new LiveTokenCache({ tokenCacheProxyUrls, tokenCacheUrl: 'http://127.0.0.1:9' })

describe('a block of a user', () => {
  it('is confirmed when every configured proxy answers and all have the same blocks', async () => {
    const [one, two] = [await startProxy('proxy1'), await startProxy('proxy2')]
    await cacheOf(one.url, two.url).block('user1')
    expect(one.calls).toContain('POST /api/8/http/keyvals/tokens')
    expect(two.calls).toEqual(['GET /status'])
  })

  it.each([
    ['does not respond', {}, 'http://127.0.0.1:9'],
    ['was a peer recently', { absent: ['proxy2'] }, 'proxy2'],
    [
      'has other blocks',
      {
        peers: [
          { name: 'proxy1', blocks: { fingerprint: '1' } },
          { name: 'proxy2', blocks: { fingerprint: '2' } },
        ],
      },
      'proxy2',
    ],
  ])('is sent once, and fails with the name of a proxy that %s', async (_what, tier, named) => {
    const one = await startProxy('proxy1', tier)
    const two = named === 'proxy2' ? await startProxy('proxy2') : { url: named, calls: [] }
    await expect(cacheOf(one.url, two.url).block('user1')).rejects.toMatchObject({
      status: 504,
      code: 'not_confirmed',
      message: `proxy1 made the change, but ${named} did not confirm it within 3 s.`,
    })
    expect(two.calls).not.toContain('POST /api/8/http/keyvals/tokens')
  })
})
