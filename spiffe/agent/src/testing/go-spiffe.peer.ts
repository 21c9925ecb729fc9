import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type RunningAgent, startAgent } from './agent.ts'
import { describeEveryCombination, UID } from './every-combination.ts'
import { installPrograms, PORTS, start } from './programs.ts'
import { Sandbox } from './sandbox.ts'

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: needs root, to give the programs their own users and network')
const describeHere = isRoot ? describeWith('go', 'https://go.dev/dl') : describe.skip

describeHere('the unmodified programs of go-spiffe v2.8.1, mixed with ours, with our agent', () => {
  let sandbox: Sandbox
  let agent: RunningAgent

  beforeAll(async () => {
    sandbox = await Sandbox.open()
    await installPrograms(sandbox)
    agent = await startAgent({ ATTESTATION: 'peercred', SHARED_SOCKET: join(sandbox.tmp, 'agent.sock') })
    for (const name of ['client', 'server', 'stranger'] as const)
      await agent.admin.addEntry({
        id: `uid-${name}`,
        spiffeId: `spiffe://example.org/${name}`,
        selectors: [`unix:uid:${UID[name]}`],
      })
  }, 180_000)
  afterAll(async () => {
    await sandbox?.close()
    await agent?.stop()
  })

  describeEveryCombination(() => sandbox)

  it('rotate with the authority under traffic without a failed request', async () => {
    const server = start(sandbox, 'go', 'server', UID.server)
    const proxy = start(sandbox, 'go', 'proxy', UID.server)
    await Promise.all([sandbox.listening(PORTS.server), sandbox.listening(PORTS.proxy)])
    const codes: (number | null)[] = []
    let rotating = true
    const requests = (async () => {
      while (rotating) codes.push(await start(sandbox, 'go', 'client', UID.client).ended())
    })()
    const before = (await agent.admin.authorities()).x509.length
    await agent.admin.rotate('x509')
    await agent.admin.rotate('jwt')
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    rotating = false
    await requests
    const { x509 } = await agent.admin.authorities()
    expect(x509.map(({ state }) => state)).toEqual(expect.arrayContaining(['old', 'active']))
    expect(x509.length).toBeGreaterThan(before)
    expect(codes.length).toBeGreaterThan(3)
    expect(codes.filter((code) => code !== 0)).toEqual([])
    await Promise.all([server.stop(), proxy.stop()])
  }, 60_000)
})
