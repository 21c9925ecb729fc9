import { describeRecord } from '@hallpass/service-kit/testing'
import { beforeEach } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
beforeEach(() => gateway.start())

for (const protocol of ['h2', 'http/1.1'] as const) {
  const ask = async (path: string, headers: Readonly<Record<string, string>>) => {
    const { status, headers: answered } = await gateway.request(path, { headers }, protocol)
    return { status, requestId: answered['x-request-id'] }
  }
  describeRecord(`the gateway over ${protocol}`, () => ({
    service: 'sse-gateway',
    path: '/index.html',
    route: '/index.html',
    ask: (headers) => ask('/index.html?q=hidden', headers),
    reason: 'no_token',
    beRefused: (headers) => ask('/events', headers),
    leave: async (headers) => (await gateway.open(await gateway.token(), protocol, headers)).close(),
    log: () => gateway.log,
    metrics: async () => (await gateway.request('/metrics')).text,
  }))
}
