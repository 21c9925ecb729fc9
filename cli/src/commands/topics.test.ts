import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@hallpass/service-kit'
import { createApp as createGateway, loadConfig as loadGatewayConfig } from '@hallpass/sse-gateway/app'
import { createApp as createServer, loadConfig as loadServerConfig } from '@hallpass/sse-server/app'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { runCli } from '../testing/run-cli.ts'

describe('hallpass listen and publish with topics', () => {
  let folder: string
  let gatewayUrl = ''
  let serverUrls: Readonly<Record<string, string>>
  const server = createServer(loadServerConfig({ HTTP_PORT: '0', TCP_PORT: '0' }), silentLog)
  let gateway: ReturnType<typeof createGateway>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hallpass-topics-'))
    serverUrls = await server.start()
    gateway = createGateway(
      loadGatewayConfig({
        ...{ PORT: '0', SECOND_PORT: '0', STATE_FOLDER: folder, TOPICS_CLAIM: 'sse', RING_EVENTS: '8' },
        UPSTREAM_URL: `${serverUrls.http}/events`,
        PUBLISH_URL: `${serverUrls.http}/publish`,
      }),
      silentLog,
    )
    gatewayUrl = (await gateway.start()).https as string
  })
  afterAll(async () => {
    await gateway.stop()
    await server.stop()
    await rm(folder, { recursive: true })
  })

  const run = (args: readonly string[], onLine?: (line: string) => unknown) =>
    runCli(args, { env: { STATE_FOLDER: folder }, ...(onLine === undefined ? {} : { onLine }) })
  const listen = (args: readonly string[], onLine?: (line: string) => unknown) =>
    run(['listen', '--url', `${gatewayUrl}/events`, '--exp', '20s', ...args], onLine)
  const tokenFor = async (sse: object) =>
    (await run(['token', '--payload', `sse=${JSON.stringify(sse)}`])).out.trim()
  /** Publishes through the gateway. */
  const publish = async (token: string, ...args: string[]) =>
    run(['publish', '--http', gatewayUrl, '--token', token, ...args])

  it('listens to a topic, and publishes it through the gateway with the ID that the listener sees', async () => {
    const token = await tokenFor({ publish: ['orders/{id}', 'news'] })
    let receipt: Promise<{ out: string }> | undefined
    const { out, exitCode } = await listen(['--topic', 'orders/7', '--topic', 'sport'], (line) => {
      if (line.includes('connected'))
        receipt = (async () => {
          await publish(token, '--data', 'hidden', '--topic', 'news')
          await publish(token, '--data', 'hidden', '--topic', 'orders/8')
          return publish(token, '--data', 'shipped', '--topic', 'orders/7')
        })()
      return line.includes('shipped')
    })
    const id = (await receipt)?.out.trim()
    expect(exitCode).toBe(0)
    expect(out).toMatch(new RegExp(`event {6}shipped {2}id ${id}$`, 'm'))
    expect(out).not.toContain('hidden')
  })

  it('prints why the gateway refuses a topic', async () => {
    const token = await tokenFor({ subscribe: ['news'], publish: ['news'] })
    const listening = await listen(['--token', token, '--topic', 'orders/7'])
    expect([listening.exitCode, listening.err]).toEqual([
      1,
      expect.stringContaining(
        'The server rejected the stream with 403: The token is not allowed to read the topic "orders/7": its claim sse.subscribe must cover it.',
      ),
    ])
    const publishing = await publish(token, '--data', 'x', '--topic', 'orders/7')
    expect([publishing.exitCode, publishing.err]).toEqual([
      1,
      'hallpass: The token is not allowed to publish the topic "orders/7": its claim sse.publish must cover it.',
    ])
  })

  it('replays only the topics of the token, also events that are older than the ring buffer of the gateway', async () => {
    const objects = Array.from({ length: 30 }, (_, index) =>
      JSON.stringify({ topic: index % 3 === 0 ? 'mine' : 'other', id: `event ${index}`, data: `${index}` }),
    ).join('')
    await run(['publish', '--to', serverUrls.tcp as string, '--', objects])
    const { out } = await listen(['--topic', 'mine', '--last-event-id', 'event 3'], (line) =>
      line.includes('id event 27'),
    )
    const shown = [...out.matchAll(/ id event (\d+)$/gm)].map(([, number]) => Number(number))
    expect(shown).toEqual([6, 9, 12, 15, 18, 21, 24, 27])
  })

  it('takes --topic only with --data', async () => {
    expect(await publish('x.y.z', '{"data":"x"}', '--topic', 'news')).toEqual({
      exitCode: 2,
      out: '',
      err: 'hallpass: --topic is for --data. Put the topic of an event into its object.',
    })
  })
})
