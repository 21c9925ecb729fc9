import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { silentLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { JwtBundle, matchAny } from '@hallpass/spiffe'
import { publicJwks, signToken } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { expect, it } from '@jest/globals'
import { authenticateClient } from './authenticate-client.ts'

it('accepts JWT-SVIDs of an authority whose clock is 2 s ahead or behind, within the configured tolerance', async () => {
  const clock = new ManualClock()
  const key = testKey('ES256', 'authority')
  const jwtSource = JwtBundle.ofJwks('example.org', publicJwks([key]))
  const statusWith = async (token: string, leewaySeconds: number) => {
    const options = { jwtSource, audiences: ['server'], authorize: matchAny(), leewaySeconds, log: silentLog }
    const server = createServer(
      authenticateClient({ ...options, clock: clock.now }, (_request, response) => response.end('ok')),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { status } = await fetch(url, {
      headers: { authorization: `Bearer ${token}`, connection: 'close' },
    })
    await new Promise((resolve) => server.close(resolve))
    return status
  }
  const signedAt = (skewMs: number, lifetimeSeconds: number) =>
    signToken({ sub: 'spiffe://example.org/client', aud: 'server' }, key, {
      lifetimeSeconds,
      clock: () => clock.now() + skewMs,
    })
  for (const token of [await signedAt(2_000, 60), await signedAt(-3_000, 1)]) {
    expect(await statusWith(token, 5)).toBe(200)
    expect(await statusWith(token, 0)).toBe(401)
  }
  for (const token of [await signedAt(7_000, 60), await signedAt(-7_000, 1)])
    expect(await statusWith(token, 5)).toBe(401)
})
