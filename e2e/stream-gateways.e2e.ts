import net from 'node:net'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { curl, eventSource } from './stream-clients.ts'
import { LIFETIME_SECONDS, optionsFor, StreamSystem, until, WINDOW_SECONDS } from './stream-system.ts'

describeWith('redis-server', 'apt-get install redis-server')(
  'two gateways behind a balancer, one log in Redis',
  () => {
    let redis: RedisServer
    let system: StreamSystem
    let balancer: net.Server
    let balanced = ''
    const sockets = new Set<net.Socket>()
    beforeAll(async () => {
      redis = await RedisServer.start()
      const env = { REDIS_URL: redis.url }
      system = new StreamSystem({ server: env, gateway: env })
      await system.start(2)
      // Turn by turn, connection by connection, as a layer 4 balancer does.
      let turn = 0
      balancer = net.createServer((client) => {
        turn += 1
        const { port } = new URL(system.gateways[turn % 2] as string)
        const gateway = net.connect(Number(port), '127.0.0.1')
        for (const socket of [client, gateway]) {
          sockets.add(socket)
          socket
            .on('error', () => {})
            .once('close', () => {
              sockets.delete(socket)
              client.destroy()
              gateway.destroy()
            })
        }
        client.pipe(gateway).pipe(client)
      })
      await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve))
      balanced = `https://localhost:${(balancer.address() as net.AddressInfo).port}`
    })
    afterAll(async () => {
      for (const socket of sockets) socket.destroy()
      balancer.close()
      await system.stop()
      await redis.remove()
    })

    it('lose nothing and double nothing when connections are cut and the SSE server is stopped and started', async () => {
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
          await system.publish({ data: sent.at(-1) })
        }
      }
      await publish(20)
      await until(() => clients.every(({ data }) => data.length === sent.length))
      // The clients come back, each perhaps to the other gateway, with the id that they saw last.
      for (const socket of sockets) socket.destroy()
      await publish(20)
      await until(() => clients.every(({ data }) => data.length === sent.length))
      await system.stopServer()
      await system.startServer()
      await publish(20)
      await until(() => clients.every(({ data }) => data.length >= sent.length), 15_000)
      for (const client of clients) client.close()
      for (const { data } of clients) expect(data).toEqual(sent)
    }, 40_000)

    it('extend a stream of one by an answer that reaches the other', async () => {
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
