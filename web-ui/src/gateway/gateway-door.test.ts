import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { LiveStreams } from '../live/index.ts'
import { GatewayDoor } from './gateway-door.ts'
import type { WatcherTokens } from './watcher-tokens.ts'

describe('a gateway that accepts connections but does not respond', () => {
  const sockets: Socket[] = []
  let server: Server
  let folder: string
  let door: GatewayDoor
  let url: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gateway-door-'))
    const { caFile } = await ensureDevelopmentCertificates(folder)
    // Like the kernel for a stopped process.
    server = createServer((socket) => sockets.push(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `https://localhost:${(server.address() as AddressInfo).port}`
    door = new GatewayDoor(`${url}/hops`, caFile)
  })
  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true })
  })

  it('causes one timeout, whose error names it', async () => {
    const tokens = { issue: async () => 'token' } as unknown as WatcherTokens
    const began = performance.now()
    await expect(new LiveStreams(door, tokens).show()).rejects.toMatchObject({
      status: 504,
      code: 'peer_timeout',
      message: `sse-gateway at ${url} did not answer within 1500 ms.`,
    })
    expect(performance.now() - began).toBeLessThan(2_500)
  })

  it('fails the health check', async () => {
    const began = performance.now()
    expect(await door.answers(200)).toBe(false)
    expect(performance.now() - began).toBeLessThan(1_000)
  })
})
