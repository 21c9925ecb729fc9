import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { ScenarioRunner } from './scenario-runner.ts'
import type { StreamScenario } from './stream-scenario.ts'

const TRACE = 'a1'.repeat(16)
const streams = {
  run: () => Promise.reject(new Error('unused')),
  curlFor: () => '',
} as unknown as StreamScenario
let server: Server
let runner: ScenarioRunner
beforeAll(async () => {
  server = createServer((request, response) => {
    response.statusCode = request.url === '/scenario2' ? 404 : 200
    response.end(JSON.stringify({ valid: true, url: request.url }))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const serviceAUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  runner = new ScenarioRunner({ serviceAUrl, tokenCacheUrl: 'http://127.0.0.1:9' }, streams)
})
afterAll(() => void server.close())

it('stores a run by its trace ID with its status, and rejects another with the same ID', async () => {
  const run = await runner.run(3, 'tampered', { traceId: TRACE })
  expect(run).toMatchObject({ traceId: TRACE, scenario: 3, fault: 'tampered', status: 200 })
  expect(runner.log.list()).toMatchObject([{ traceId: TRACE, fault: 'tampered', result: { status: 200 } }])
  await expect(runner.run(3, undefined, { traceId: TRACE })).rejects.toMatchObject({
    status: 409,
    code: 'trace_in_use',
    message: `Another run already has the trace ID ${TRACE}. Choose another one.`,
  })
  expect(await runner.run(2, undefined)).toMatchObject({ status: 404 })
})

it('stores why a run got no answer, for a reloaded page', async () => {
  await expect(runner.run(6, undefined)).rejects.toMatchObject({ status: 502, code: 'peer_unreachable' })
  expect(runner.log.list()[0]).toMatchObject({
    scenario: 6,
    result: { status: 502, answer: { error: { code: 'peer_unreachable' } } },
  })
})
