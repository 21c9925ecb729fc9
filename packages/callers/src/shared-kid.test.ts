import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { CallersFile } from './callers-file.ts'

const AUDIENCE = 'https://jwt-factory/'
const CLUSTER = 'https://kubernetes.default.svc.cluster.local'
const PROVIDER = 'https://login.example/'
const POD = 'system:serviceaccount:default:service-a'
const WORKLOAD = 'spiffe://example.org/service-a'
const clock = new ManualClock()

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shared-kid-'))
})
afterEach(() => rm(folder, { recursive: true }))

const publish = async (file: string, set: object) => {
  await writeFile(join(folder, file), JSON.stringify(set))
  return file
}
const load = async (callers: object[]) => {
  const file = join(folder, 'callers.json')
  await writeFile(file, JSON.stringify({ callers }))
  const config = { mode: 'authenticated', trustFile: file, leewaySeconds: 5 } as const
  const trusted = new CallersFile(config, AUDIENCE, { clock: clock.now })
  await trusted.load()
  return trusted
}
const sign = (claims: object, key: SigningKey) =>
  signToken({ aud: AUDIENCE, ...claims }, key, { lifetimeSeconds: 30, clock: clock.now })

describe('callers whose keys have one kid', () => {
  it('AL-28 are told apart, whatever kind of proof they use (CVE-2026-49998)', async () => {
    const names = ['servicea', 'serviceb', 'pod', 'workload', 'provider'] as const
    const keys = await Promise.all(names.map(() => generateSigningKey('ES256', 'shared')))
    const [a, b, pod, workload, provider] = await Promise.all(
      keys.map((key, index) => publish(`${names[index]}.json`, publicJwks([key]))),
    )
    const callers = await load([
      { method: 'private_key_jwt', clientId: 'servicea', jwksFile: a, keyId: 'servicea' },
      { method: 'private_key_jwt', clientId: 'serviceb', jwksFile: b, keyId: 'serviceb' },
      { method: 'kubernetes', issuer: CLUSTER, jwksFile: pod, subjects: { [POD]: { keyId: 'servicea' } } },
      {
        method: 'spiffe',
        trustDomain: 'example.org',
        jwksFile: workload,
        subjects: { [WORKLOAD]: { keyId: 'servicea' } },
      },
      { method: 'oidc', issuer: PROVIDER, jwksFile: provider, clients: { batch: { keyId: 'servicea' } } },
    ])
    const claims = [
      { iss: 'servicea', sub: 'servicea' },
      { iss: 'serviceb', sub: 'serviceb' },
      { iss: CLUSTER, sub: POD },
      { sub: WORKLOAD },
      { iss: PROVIDER, sub: 'batch', client_id: 'batch', scope: 'keys' },
    ]
    for (const [index, wanted] of claims.entries())
      for (const [signer, key] of keys.entries()) {
        const identified = callers.identify(await sign(wanted, key))
        if (signer === index) expect((await identified).subject).toBe(wanted.sub)
        else await expect(identified).rejects.toMatchObject({ status: 401, code: 'invalid_client' })
      }
  })
})

describe('a caller whose keys cannot be used', () => {
  it('is not blamed: the error is that of its key set', async () => {
    const key = await generateSigningKey('ES256', 'good')
    const jwksFile = await publish('a.json', publicJwks([key]))
    const callers = await load([
      { method: 'private_key_jwt', clientId: 'servicea', jwksFile, keyId: 'servicea' },
    ])
    await publish('a.json', { keys: [{ kty: 'OKP', crv: 'Ed448', alg: 'EdDSA', x: 'AAAA' }] })
    await expect(
      callers.identify(await sign({ iss: 'servicea', sub: 'servicea' }, key)),
    ).rejects.toMatchObject({
      name: 'KeySetError',
      reason: 'no_usable_key',
      message: expect.stringContaining('The key set of servicea is rejected.'),
    })
  })
})
