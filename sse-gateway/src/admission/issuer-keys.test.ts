import { writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'
import { afterEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'

const gateway = useGateway()
let server: http.Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** An http issuer, whose keys are also allowed to be fetched over http. */
const PLAIN = 'http://auth.test'

async function status(key: SigningKey, claims = {}): Promise<number> {
  const token = await gateway.token(claims, { key, lifetimeSeconds: 3_600 })
  const answer = await gateway.request('/events', { headers: { authorization: `Bearer ${token}` } })
  answer.close()
  return answer.status
}

describe('issuer keys', () => {
  it('are reloaded within seconds after their file changes, and removed keys are no longer accepted', async () => {
    const [first, second] = [
      await generateSigningKey('ES256', 'first'),
      await generateSigningKey('EdDSA', 'second'),
    ]
    const file = join(gateway.stateFolder, 'rotating.json')
    const publish = (...keys: SigningKey[]) => writeFile(file, JSON.stringify(publicJwks(keys)))
    await publish(first)
    await gateway.start({ JWKS_FILE: file })
    expect([await status(first), await status(second)]).toEqual([200, 401])
    await publish(first, second)
    gateway.clock.advance(1_000)
    expect([await status(first), await status(second)]).toEqual([200, 200])
    await publish(second)
    gateway.clock.advance(4_000)
    expect([await status(first), await status(second)]).toEqual([401, 200])
  })

  it('AL-20: are fetched once for a thousand tokens with unknown keys', async () => {
    const key = await generateSigningKey('ES256', 'known')
    let fetches = 0
    server = http.createServer((_request, response) => {
      fetches += 1
      response.end(JSON.stringify(publicJwks([key])))
    })
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await gateway.start({ ISSUER: PLAIN, JWKS_URL: `http://127.0.0.1:${port}/jwks.json` })
    expect(await status(key, { iss: PLAIN })).toBe(200)
    const connection = await gateway.connect()
    const stranger = await generateSigningKey('ES256')
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async (_, index) =>
        connection.request('/events', {
          headers: {
            authorization: `Bearer ${await gateway.token({ iss: PLAIN }, { key: { ...stranger, kid: `kid-${index}` } })}`,
          },
        }),
      ),
    )
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([401]))
    expect(await status(key, { iss: PLAIN })).toBe(200)
    expect(fetches).toBeLessThanOrEqual(2)
  })

  it.each([
    ['their server is unreachable', PLAIN, 'is not reachable (ECONNREFUSED)'],
    ['an https issuer serves them over http', 'https://auth.example.com', 'is not an https URL'],
  ])('are unavailable if %s, and the token is not blamed', async (_why, iss, reason) => {
    await gateway.start({ ISSUER: iss, JWKS_URL: 'http://127.0.0.1:1/jwks.json' })
    const answer = await gateway.request('/events', {
      headers: { authorization: `Bearer ${await gateway.token({ iss })}` },
    })
    expect([answer.status, answer.json]).toEqual([
      503,
      { error: { code: 'keys_unavailable', message: "The issuer's keys are unavailable. Retry later." } },
    ])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(gateway.log).toContain(reason)
  })
})
