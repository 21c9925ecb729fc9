import { createServer } from 'node:net'
import { expect, it } from '@jest/globals'
import { freePort, freePorts, listenError } from './free-ports.ts'

it('returns different ports below those that the system assigns', async () => {
  const ports = [...(await freePorts(50)), await freePort()]
  expect(new Set(ports).size).toBe(51)
  for (const port of ports) expect([port >= 20_000, port < 32_768]).toEqual([true, true])
})

it('tells why a process cannot listen on a port', async () => {
  const port = await freePort()
  expect(await listenError(port)).toBeUndefined()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  expect(await listenError(port)).toBe('EADDRINUSE')
  await new Promise((resolve) => server.close(resolve))
})
