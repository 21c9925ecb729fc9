import { describe, expect, it } from '@jest/globals'
import { publishOverHttp, publishOverTcp } from './client.ts'

const object = '{"data":"x"}'

describe('a server that is unreachable', () => {
  it.each([
    ['HTTP', 'http://127.0.0.1:1', (url: string) => publishOverHttp({ baseUrl: url, objects: object })],
    ['TCP', 'tcp://127.0.0.1:1', (url: string) => publishOverTcp({ url, objects: object })],
  ])('is a PeerError over %s', async (_protocol, url, publish) => {
    await expect(publish(url)).rejects.toMatchObject({
      name: 'PeerError',
      code: 'peer_unreachable',
      message: `sse-server at ${url} is not reachable (ECONNREFUSED).`,
    })
  })
})
