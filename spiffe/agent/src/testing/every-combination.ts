import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Language, PORTS, requestWith, start } from './programs.ts'
import type { Program, Sandbox } from './sandbox.ts'

/** The users need not exist, because the kernel uses only numbers. */
export const UID = { client: 61001, server: 61002, stranger: 61003, unregistered: 61009 }

const LANGUAGES: readonly Language[] = ['go', 'node']
/** The programs wait 30 s for an identity. */
const WAIT_FOR_IDENTITY_MS = 60_000

/**
 * Tests all eight combinations of client, proxy and server, each go-spiffe's or ours, with the right audience, a wrong one, a
 * malformed header, a workload that is not on the list and a user without an entry. The agent listens on /tmp/agent.sock.
 */
export function describeEveryCombination(inside: () => Sandbox): void {
  const unregistered = new Map<Language, Program[]>()

  beforeAll(() => {
    // These run for half a minute, so start them before the other tests.
    for (const client of LANGUAGES) {
      const one = () => start(inside(), client, 'client', UID.unregistered)
      unregistered.set(client, Array.from({ length: 4 }, one))
    }
  })

  describe.each(LANGUAGES)('%s server', (serverLanguage) => {
    describe.each(LANGUAGES)('%s proxy', (proxyLanguage) => {
      let server: Program
      let proxy: Program
      beforeAll(async () => {
        server = start(inside(), serverLanguage, 'server', UID.server)
        proxy = start(inside(), proxyLanguage, 'proxy', UID.server)
        await Promise.all([inside().listening(PORTS.server), inside().listening(PORTS.proxy)])
      }, 30_000)
      afterAll(async () => {
        await Promise.all([server.stop(), proxy.stop()])
      })

      it('answers a malformed header with 401 and logs it', async () => {
        for (const header of ['Basic dTpw', 'Bearer', 'Bearer a b', 'bearer a']) {
          const { status, body } = await requestWith(inside(), header)
          expect([status, body]).toEqual(['401', 'Invalid or unsupported authorization header\n'])
        }
        await server.says('Malformed header')
      })

      it('answers an invalid token with 401 and logs it', async () => {
        const { status, body } = await requestWith(inside(), 'Bearer nonsense')
        expect([status, body]).toEqual(['401', 'Unauthorized\n'])
        await server.says('Invalid token: jwtsvid: unable to parse JWT token')
      })

      describe.each(LANGUAGES)('%s client', (clientLanguage) => {
        const call = async (uid: number, ...args: string[]) => {
          const client = start(inside(), clientLanguage, 'client', uid, ...args)
          return { code: await client.ended(), output: client.output }
        }

        it('is accepted with the audience of the server', async () => {
          const { code, output } = await call(UID.client)
          expect(output).toMatch(/Success!!!\n$/)
          expect(code).toBe(0)
          await proxy.says('GET /')
          await server.says('Request received')
        })

        it('is rejected with another audience', async () => {
          const { code, output } = await call(UID.client, 'spiffe://example.org/some-other-server')
          expect(output).toMatch(/unexpected status: 401\n$/)
          expect(code).toBe(1)
          const line =
            'Invalid token: jwtsvid: expected audience in ["spiffe://example.org/server"] (audience=["spiffe://example.org/some-other-server"])'
          await server.says(serverLanguage === 'go' ? line : JSON.stringify(line).slice(1, -1))
        })

        it(`is ${serverLanguage === 'node' ? 'rejected by our server' : 'accepted by the Go server'} as another workload`, async () => {
          const { code, output } = await call(UID.stranger)
          expect(output).toMatch(serverLanguage === 'node' ? /unexpected status: 403\n$/ : /Success!!!\n$/)
          expect(code).toBe(serverLanguage === 'node' ? 1 : 0)
        })

        it(
          'gets no identity as a user without an entry, and times out after 30 s',
          async () => {
            const client = unregistered.get(clientLanguage)?.pop() as Program
            expect(await client.ended()).toBe(1)
            expect(client.output).toContain('unable to create X509Source: context deadline exceeded')
            if (clientLanguage === 'node') expect(client.output).toContain('no identity issued')
          },
          WAIT_FOR_IDENTITY_MS,
        )
      })
    })
  })
}
