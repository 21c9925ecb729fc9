import { silentLog } from '@hallpass/service-kit'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { openStream, sendTcp } from '../testing/stream-reader.ts'

describeWith('redis-server', 'apt-get install redis-server')('servers that share a log', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())

  async function start() {
    const config = loadConfig({ HTTP_PORT: '0', TCP_PORT: '0', REDIS_URL: redis.url })
    const service = createApp(config, silentLog)
    const { http = '', tcp = '' } = await service.start()
    const post = (data: string) =>
      fetch(`${http}/publish`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ data }),
      })
    return {
      stop: () => service.stop(),
      http,
      tcp,
      post,
      ready: async () => (await fetch(`${http}/readyz`)).status,
    }
  }

  async function until(condition: () => Promise<boolean>) {
    const deadline = performance.now() + 5_000
    while (!(await condition())) {
      if (performance.now() > deadline) throw new Error(`timed out waiting for ${condition}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  it('stream what is published on the other server, and continue its clients’ streams', async () => {
    const [one, two] = [await start(), await start()]
    const atOne = await openStream(`${one.http}/events`)
    await sendTcp(two.tcp, '{"data":"1"}{"data":"2"}')
    await atOne.until(({ events }) => events.length === 2)
    await one.stop()
    await two.post('3')
    const lastEventId = atOne.events[1]?.lastEventId as string
    const atTwo = await openStream(`${two.http}/events`, { 'last-event-id': lastEventId })
    await atTwo.until(({ events }) => events.length === 1)
    const again = await start()
    const atAgain = await openStream(`${again.http}/events`, { 'last-event-id': lastEventId })
    await atAgain.until(({ events }) => events.length === 1)
    expect([atTwo.data(), atAgain.data()]).toEqual([['3'], ['3']])
    await Promise.all([two.stop(), again.stop()])
  })

  it('keep their streams while Redis is unavailable, reject publications, and recover', async () => {
    const server = await start()
    const reader = await openStream(`${server.http}/events`)
    const { id } = (await (await server.post('before')).json()) as { id: string }
    await reader.until(({ events }) => events.length === 1)
    await redis.kill()
    await until(async () => (await server.ready()) === 503)

    const refused = await server.post('lost')
    const message =
      'The event log does not respond, so it is unknown whether it stored the event. Publish it again with an id of your own, the same each time: then it is stored once.'
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
      503,
      '1',
      { error: { code: 'log_unavailable', message } },
    ])
    expect(JSON.parse(await sendTcp(server.tcp, '{"data":"lost"}'))).toEqual({
      error: { code: 'log_unavailable', message },
    })
    const replay = await openStream(`${server.http}/events`, { 'last-event-id': '0-0' })
    await replay.until(({ events }) => events.some(({ data }) => data === 'before'))
    expect(reader.ended).toBe('no')

    await redis.start()
    await until(async () => (await server.ready()) === 200)
    expect((await server.post('after')).status).toBe(202)
    await reader.until(({ events }) => events.length === 2)
    expect(reader.data()).toEqual(['before', 'after'])
    const resumed = await openStream(`${server.http}/events`, { 'last-event-id': id })
    await resumed.until(({ events }) => events.length === 1)
    expect(resumed.data()).toEqual(['after'])
    await server.stop()
  })

  it('are not ready while Redis is frozen, reject publications immediately, and recover', async () => {
    const server = await start()
    redis.freeze()
    await until(async () => (await server.ready()) === 503)
    const began = performance.now()
    expect((await server.post('refused unsent')).status).toBe(503)
    expect(performance.now() - began).toBeLessThan(1_000)
    redis.thaw()
    await until(async () => (await server.ready()) === 200)
    const { id } = (await (await server.post('after')).json()) as { id: string }
    const reader = await openStream(`${server.http}/events?lastEventId=0-0`)
    await reader.until(({ events }) => events.some((event) => event.lastEventId === id))
    expect(reader.data()).not.toContain('refused unsent')
    await server.stop()
  }, 20_000)

  it('answer clients with 503 until the log is loaded', async () => {
    await redis.kill()
    const server = await start()
    const refused = await fetch(`${server.http}/events`)
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
      503,
      '1',
      {
        error: {
          code: 'log_not_loaded',
          message: 'The event log is not loaded yet. Retry in a moment.',
        },
      },
    ])
    await redis.start()
    await until(async () => (await server.ready()) === 200)
    const reader = await openStream(`${server.http}/events`)
    expect(reader.response.statusCode).toBe(200)
    await server.stop()
  })
})
