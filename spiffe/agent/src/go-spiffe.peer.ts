import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type RunningAgent, startAgent } from './testing/agent.ts'
import { installPrograms, type Language, PORTS, requestWith, start } from './testing/programs.ts'
import { type Program, Sandbox } from './testing/sandbox.ts'

/** Users need not exist: the kernel knows numbers. */
const UID = { client: 61001, server: 61002, stranger: 61003, unregistered: 61009 }
const LANGUAGES: readonly Language[] = ['go', 'node']
/** The original waits 30 s for an identity. */
const GO_TIMEOUT_MS = 60_000

const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('skipped: only root can give the programs users and a network of their own')
const describeHere = isRoot ? describeWith('go', 'https://go.dev/dl') : describe.skip

describeHere('the unmodified programs of go-spiffe v2.8.1, mixed with ours, before our agent', () => {
  let sandbox: Sandbox
  let agent: RunningAgent
  const unregistered = new Map<Language, Program[]>()

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
    // They wait for half a minute; meanwhile everything else goes on.
    for (const client of LANGUAGES)
      unregistered.set(
        client,
        Array.from({ length: 4 }, () => start(sandbox, client, 'client', UID.unregistered)),
      )
  }, 180_000)
  afterAll(async () => {
    await sandbox?.close()
    await agent?.stop()
  })

  describe.each(LANGUAGES)('%s server', (serverLanguage) => {
    describe.each(LANGUAGES)('%s proxy', (proxyLanguage) => {
      let server: Program
      let proxy: Program
      beforeAll(async () => {
        server = start(sandbox, serverLanguage, 'server', UID.server)
        proxy = start(sandbox, proxyLanguage, 'proxy', UID.server)
        await Promise.all([sandbox.listening(PORTS.server), sandbox.listening(PORTS.proxy)])
      }, 30_000)
      afterAll(async () => {
        await Promise.all([server.stop(), proxy.stop()])
      })

      it('answers a malformed header with 401 and says so', async () => {
        for (const header of ['Basic dTpw', 'Bearer', 'Bearer a b', 'bearer a']) {
          const { status, body } = await requestWith(sandbox, header)
          expect([status, body]).toEqual(['401', 'Invalid or unsupported authorization header\n'])
        }
        await server.says('Malformed header')
      })

      it('answers a token that is none with 401 and says so', async () => {
        const { status, body } = await requestWith(sandbox, 'Bearer nonsense')
        expect([status, body]).toEqual(['401', 'Unauthorized\n'])
        await server.says('Invalid token: jwtsvid: unable to parse JWT token')
      })

      describe.each(LANGUAGES)('%s client', (clientLanguage) => {
        const call = async (uid: number, ...args: string[]) => {
          const client = start(sandbox, clientLanguage, 'client', uid, ...args)
          return { code: await client.ended(), output: client.output }
        }

        it('is let in with the audience of the server', async () => {
          const { code, output } = await call(UID.client)
          expect(output).toMatch(/Success!!!\n$/)
          expect(code).toBe(0)
          await proxy.says('GET /')
          await server.says('Request received')
        })

        it('is refused with another audience', async () => {
          const { code, output } = await call(UID.client, 'spiffe://example.org/some-other-server')
          expect(output).toMatch(/unexpected status: 401\n$/)
          expect(code).toBe(1)
          const line =
            'Invalid token: jwtsvid: expected audience in ["spiffe://example.org/server"] (audience=["spiffe://example.org/some-other-server"])'
          await server.says(serverLanguage === 'go' ? line : JSON.stringify(line).slice(1, -1))
        })

        it(`is ${serverLanguage === 'node' ? 'refused by our server' : 'let in by the original'} as another workload`, async () => {
          const { code, output } = await call(UID.stranger)
          expect(output).toMatch(serverLanguage === 'node' ? /unexpected status: 403\n$/ : /Success!!!\n$/)
          expect(code).toBe(serverLanguage === 'node' ? 1 : 0)
        })

        it(
          'gets no identity as a user without an entry, and gives up after 30 s',
          async () => {
            const client = unregistered.get(clientLanguage)?.pop() as Program
            expect(await client.ended()).toBe(1)
            expect(client.output).toContain('unable to create X509Source: context deadline exceeded')
            if (clientLanguage === 'node') expect(client.output).toContain('no identity issued')
          },
          GO_TIMEOUT_MS,
        )
      })
    })
  })

  it('rotate with the authority while requests go on, and none of them fails', async () => {
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
