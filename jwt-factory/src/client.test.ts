import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseCompact, parseJwks } from '@hallpass/tokens'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { createJwtFactoryClient, type JwtFactoryClient } from './client.ts'
import { useFactory } from './testing.ts'

describe('the client of jwt-factory', () => {
  const factory = useFactory()
  let client: JwtFactoryClient
  let otherKey = ''
  beforeAll(async () => {
    client = createJwtFactoryClient({ baseUrl: factory.url() })
    await factory.get('/keys/servicea')
    await factory.get('/keys/serviceb')
    otherKey = await client.issueToken('serviceb', { aud: 'serviceb', sub: 'servicea' })
  })

  it('requests a token and verifies it', async () => {
    const token = await client.issueToken('servicea', { aud: 'serviceb' })
    expect(parseCompact(token).payload).toMatchObject({ sub: 'servicea', aud: 'serviceb' })
    const { claims } = await client.verify('servicea', { token, aud: 'serviceb', sub: 'servicea' })
    expect(claims).toEqual(parseCompact(token).payload)
  })

  it('throws the factory’s rejection', async () => {
    const token = await client.issueToken('servicea', { aud: 'serviceb' }, { expired: true })
    const refusal = await client
      .verify('servicea', { token, aud: 'serviceb', sub: 'servicea' })
      .catch((error) => error)
    expect(refusal).toMatchObject({ name: 'TokenExpiredError', message: 'jwt expired', reason: 'expired' })
    expect(JSON.stringify(refusal)).toMatch(
      /^{"name":"TokenExpiredError","message":"jwt expired","expiredAt":"2/,
    )
  })

  it.each([
    ['for another audience', 'audience_mismatch', { aud: 'servicec' }, (token: string) => token],
    ['that was modified', 'signature_invalid', {}, changed],
    ['signed with another key', 'key_unknown', {}, () => otherKey],
  ] as const)('reports the exact reason for rejecting a token %s', async (_what, reason, wanted, spoil) => {
    const token = spoil(await client.issueToken('servicea', { aud: 'serviceb' }))
    await expect(
      client.verify('servicea', { token, aud: 'serviceb', sub: 'servicea', ...wanted }),
    ).rejects.toMatchObject({ name: 'JsonWebTokenError', reason })
  })

  it('names the key to create when there is none', async () => {
    const missing = {
      status: 503,
      code: 'key_missing',
      body: {
        error: {
          code: 'key_missing',
          message: 'jwt-factory has no key named nobody yet.',
          step: `curl ${factory.url()}/keys/nobody`,
        },
      },
    }
    await expect(client.issueToken('nobody', { aud: 'serviceb' })).rejects.toMatchObject(missing)
    await expect(client.verify('nobody', { token: 'x', aud: 'a', sub: 'b' })).rejects.toMatchObject(missing)
    await expect(client.publicKey('nobody')).rejects.toMatchObject(missing)
  })

  it('reads public keys', async () => {
    expect(await client.publicKey('servicea')).toMatch(/^-----BEGIN PUBLIC KEY-----/)
    expect(parseJwks(await client.jwks()).length).toBeGreaterThanOrEqual(1)
  })

  it.each<[string, (response: ServerResponse) => void]>([
    ['whose connection breaks', (response) => void response.socket?.destroy()],
    ['that a balancer answers with 502', (response) => void response.writeHead(502).end('{}')],
  ])('repeats a request %s once', async (_what, fail) => {
    let calls = 0
    let failures = 1
    const balancer = createServer((_request, response) => {
      calls += 1
      if (calls <= failures) fail(response)
      else response.end('a token')
    })
    await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve))
    try {
      const baseUrl = `http://127.0.0.1:${(balancer.address() as AddressInfo).port}`
      const behind = createJwtFactoryClient({ baseUrl })
      expect(await behind.issueToken('servicea', { aud: 'serviceb' })).toBe('a token')
      expect(calls).toBe(2)
      ;[calls, failures] = [0, 5]
      await expect(behind.issueToken('servicea', { aud: 'serviceb' })).rejects.toMatchObject({ status: 502 })
      expect(calls).toBe(2)
    } finally {
      balancer.close()
      balancer.closeAllConnections()
    }
  })

  it('names the factory when it is unreachable', async () => {
    const nowhere = createJwtFactoryClient({ baseUrl: 'http://127.0.0.1:9' })
    await expect(nowhere.issueToken('servicea', { aud: 'serviceb' })).rejects.toMatchObject({
      status: 502,
      peer: 'jwt-factory',
      message: expect.stringContaining('jwt-factory at http://127.0.0.1:9 is not reachable'),
    })
  })
})

/** Returns the token with an added claim and the old signature. */
function changed(token: string): string {
  const [header, claims = '', signature] = token.split('.')
  const more = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), admin: true }
  return [header, Buffer.from(JSON.stringify(more)).toString('base64url'), signature].join('.')
}
