import { execFile } from 'node:child_process'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { expect, it } from '@jest/globals'
import { freePort, freePorts, listenError } from './free-ports.ts'

it('returns different ports below those that the system assigns', async () => {
  const ports = [...(await freePorts(250)), await freePort()]
  expect(new Set(ports).size).toBe(251)
  for (const port of ports) expect([port >= 20_000, port < 32_768]).toEqual([true, true])
})

it('returns different ports to calls at the same time', async () => {
  const ports = await Promise.all(Array.from({ length: 20 }, () => freePorts(10)))
  expect(new Set(ports.flat()).size).toBe(200)
})

it('returns no port that another process was given and does not use yet', async () => {
  const program = `
    const { freePorts } = await import(${JSON.stringify(new URL('free-ports.ts', import.meta.url).href)})
    console.log((await freePorts(500)).join())
    setTimeout(() => {}, 3_000)`
  const run = () =>
    promisify(execFile)(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program])
  const outputs = await Promise.all([run(), run(), run()])
  const ports = outputs.flatMap(({ stdout }) => stdout.trim().split(','))
  expect(ports).toHaveLength(1_500)
  expect(new Set(ports).size).toBe(1_500)
}, 30_000)

it('tells why a process cannot listen on a port', async () => {
  const port = await freePort()
  expect(await listenError(port)).toBeUndefined()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  expect(await listenError(port)).toBe('EADDRINUSE')
  await new Promise((resolve) => server.close(resolve))
})
