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

/** An http issuer, which is allowed on this machine, and so are its keys. */
const PLAIN = 'http://localhost:1'

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

  it('AL-20: are fetched at most five times more for a thousand tokens with unknown keys', async () => {
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
    // 503 where a fifth load did not answer whether the key exists.
    expect(answers.filter(({ status }) => status !== 401 && status !== 503)).toEqual([])
    expect(await status(key, { iss: PLAIN })).toBe(200)
    expect(fetches).toBeLessThanOrEqual(6)
  })

  it('answer a rotated key with 503 while strangers use up the loads, and are known six seconds later', async () => {
    const [old, young] = [
      await generateSigningKey('ES256', 'old'),
      await generateSigningKey('ES256', 'young'),
    ]
    let published = [old]
    server = http.createServer((_request, response) => response.end(JSON.stringify(publicJwks(published))))
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await gateway.start({ ISSUER: PLAIN, JWKS_URL: `http://127.0.0.1:${port}/jwks.json` })
    expect(await status(old, { iss: PLAIN })).toBe(200)
    const stranger = await generateSigningKey('ES256')
    const flood = async (of: string) => {
      for (let n = 0; n < 10; n += 1) await status({ ...stranger, kid: `${of}-${n}` }, { iss: PLAIN })
    }
    await flood('first')
    published = [young]
    const token = await gateway.token({ iss: PLAIN }, { key: young, lifetimeSeconds: 3_600 })
    for (const method of ['GET', 'POST']) {
      const answer = await gateway.request('/events', {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(method === 'POST' ? { 'content-type': 'application/x-challenge-response' } : {}),
        },
      })
      expect([answer.status, answer.json, answer.headers['retry-after']]).toEqual([
        503,
        {
          error: {
            code: 'keys_unavailable',
            message: `The key of this token is not known, and the keys of ${PLAIN} were loaded moments ago. Retry after 6 s.`,
          },
        },
        '6',
      ])
    }
    gateway.clock.advance(6_000)
    await flood('second')
    expect(await status(young, { iss: PLAIN })).toBe(200)
    expect(gateway.log).not.toContain('"level":50')
  })

  it('are unavailable if their server is unreachable, and the token is not blamed', async () => {
    await gateway.start({ ISSUER: PLAIN, JWKS_URL: 'http://127.0.0.1:1/jwks.json' })
    const answer = await gateway.request('/events', {
      headers: { authorization: `Bearer ${await gateway.token({ iss: PLAIN })}` },
    })
    expect([answer.status, answer.json]).toEqual([
      503,
      { error: { code: 'keys_unavailable', message: "The issuer's keys are unavailable. Retry later." } },
    ])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(gateway.log).toContain('is not reachable (ECONNREFUSED)')
  })

  it.each<[string, object, string]>([
    [
      'publishes no usable key',
      { keys: [{ kty: 'OKP', crv: 'Ed448', x: 'AAAA', alg: 'EdDSA' }] },
      'no usable key: key 1',
    ],
    ['publishes a shared secret', { keys: [{ kty: 'oct', k: 'AAAA' }] }, 'would let anyone sign'],
  ])('are a 502 that names the issuer if it %s, while no others are known', async (_what, set, why) => {
    const file = join(gateway.stateFolder, 'unusable.json')
    await writeFile(file, JSON.stringify(set))
    await gateway.start({ JWKS_FILE: file })
    const answer = await gateway.request('/events', {
      headers: { authorization: `Bearer ${await gateway.token()}` },
    })
    const { error } = answer.json as { error: { code: string; message: string } }
    expect([answer.status, error.code]).toEqual([502, 'keys_unusable'])
    expect(error.message).toContain('The key set of https://auth.example.com is rejected.')
    expect(error.message).toContain(why)
  })

  it('stay in use for ten seconds if their file is replaced by a set that is rejected', async () => {
    const key = await generateSigningKey('EdDSA', 'good')
    const file = join(gateway.stateFolder, 'replaced.json')
    await writeFile(file, JSON.stringify(publicJwks([key])))
    await gateway.start({ JWKS_FILE: file })
    expect(await status(key)).toBe(200)
    await writeFile(file, '{"keys":[{"kty":"oct","k":"AAAA"}]}')
    gateway.clock.advance(9_000)
    expect(await status(key)).toBe(200)
    gateway.clock.advance(1_000)
    expect(await status(key)).toBe(502)
  })

  it('AL-28 are found by issuer and kid together, so two issuers can share a kid (CVE-2026-49998)', async () => {
    const issuers = ['https://one.example.com', 'https://two.example.com'] as const
    const keys = [await generateSigningKey('ES256', '1'), await generateSigningKey('ES256', '1')] as const
    const files = issuers.map((_, index) => join(gateway.stateFolder, `shared-${index}.json`))
    for (const [index, file] of files.entries())
      await writeFile(file, JSON.stringify(publicJwks([keys[index] as SigningKey])))
    const config = join(gateway.stateFolder, 'shared-kid.yaml')
    const entries = issuers.map(
      (issuer, index) =>
        `{ issuer: ${issuer}, audience: https://api.example.com, jwksFile: ${files[index]} }`,
    )
    await writeFile(
      config,
      `paths:\n  /events: { upstream: ${gateway.upstream.url}, scopes: [proxy:stream], issuers: [${entries.join(', ')}] }\n`,
    )
    await gateway.start({ GATEWAY_CONFIG: config })
    const [one, two] = issuers
    const [keyOfOne, keyOfTwo] = keys
    // Both keys are known before the wrong combinations are tried.
    expect([await status(keyOfOne, { iss: one }), await status(keyOfTwo, { iss: two })]).toEqual([200, 200])
    expect([await status(keyOfTwo, { iss: one }), await status(keyOfOne, { iss: two })]).toEqual([401, 401])
  })
})
