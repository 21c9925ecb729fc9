import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { Balancer } from './balancer.ts'
import { curl, eventSource } from './stream-clients.ts'
import { LIFETIME_SECONDS, optionsFor, StreamSystem, until, WINDOW_SECONDS } from './stream-system.ts'

describeWith('redis-server', 'apt-get install redis-server')(
  'two gateways behind a balancer, one log in Redis',
  () => {
    let redis: RedisServer
    let system: StreamSystem
    let balancer: Balancer
    let balanced = ''
    beforeAll(async () => {
      redis = await RedisServer.start()
      system = new StreamSystem({ env: { REDIS_URL: redis.url }, gateways: 2 })
      await system.start()
      balancer = new Balancer(system.urls.map((url) => Number(new URL(url).port)))
      await balancer.start()
      balanced = balancer.url
    }, 60_000)
    afterAll(async () => {
      balancer.stop()
      await system.stop()
      await redis.remove()
    })

    it('lose and duplicate nothing when connections are lost and the SSE server is killed and restarted', async () => {
      const newToken = () => system.token({}, 60)
      const clients = await Promise.all(
        Array.from({ length: 4 }, async () =>
          eventSource({ ...optionsFor(system, await newToken(), balanced), newToken }),
        ),
      )
      await until(() => clients.every(({ seen }) => seen.has('stream')))
      const sent: string[] = []
      const publish = async (count: number) => {
        for (let index = 0; index < count; index += 1) {
          sent.push(`${sent.length}`)
          // Some with IDs of the publisher that look like the server's own.
          const id = sent.length % 3 === 0 ? `${sent.length}` : undefined
          await system.publish({ data: sent.at(-1), id })
        }
      }
      await publish(20)
      await until(() => clients.every(({ data }) => data.length === sent.length))
      // The clients reconnect with their last event ID, possibly to the other gateway.
      balancer.cut()
      await publish(20)
      await until(() => clients.every(({ data }) => data.length === sent.length))
      await system.restartServer()
      await publish(20)
      await until(() => clients.every(({ data }) => data.length >= sent.length), 15_000)
      for (const client of clients) client.close()
      for (const { data } of clients) expect(data).toEqual(sent)
    }, 40_000)

    it('extend a stream of one gateway by an answer sent to the other', async () => {
      const newToken = () => system.token()
      const clients = await Promise.all(
        Array.from({ length: 2 }, async () =>
          curl({ ...optionsFor(system, await newToken(), balanced), newToken }, '--http1.1'),
        ),
      )
      await until(() => clients.every(({ seen }) => seen.has('stream')))
      system.advance(LIFETIME_SECONDS - WINDOW_SECONDS)
      await until(() => clients.every(({ answers }) => answers === 1))
      system.advance(WINDOW_SECONDS + 1)
      await system.publish({ data: 'past the old expiry' })
      await until(() => clients.every(({ data }) => data.includes('past the old expiry')))
      for (const client of clients) {
        expect([client.challenges > 0, client.seen.has('end')]).toEqual([true, false])
        client.close()
      }
    }, 30_000)
  },
)
