import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, it } from '@jest/globals'
import { silentLog } from '../observation/index.ts'
import { developmentConfig, useService } from '../testing.ts'
import { httpService } from './http-service.ts'

describe('a TLS listener', () => {
  const service = useService(() =>
    httpService({
      name: 'test',
      log: silentLog,
      config: developmentConfig,
      // Without a certificate: no handshake gets that far here.
      listeners: [{ name: 'https', host: '127.0.0.1', port: 0, tls: () => ({}) }],
      routes: () => {},
    }),
  )

  it('closes a connection after ten seconds that does not finish its handshake', async () => {
    const seconds = await Promise.all(
      // Nothing, and the header of a record of 512 bytes with the first ones of its ClientHello.
      ['', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc'].map(async (bytes) => {
        const socket = net.connect(Number(new URL(service.url('https')).port), '127.0.0.1')
        const startedAt = performance.now()
        socket.on('error', () => {})
        socket.write(Buffer.from(bytes, 'latin1'))
        socket.resume()
        await once(socket, 'close')
        return (performance.now() - startedAt) / 1000
      }),
    )
    for (const time of seconds) {
      expect(time).toBeGreaterThan(9.5)
      // Node closes it after 120 seconds by default.
      expect(time).toBeLessThan(100)
    }
  }, 130_000)
})
