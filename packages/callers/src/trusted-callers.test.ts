import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { generateSigningKey, publicJwks, type SigningKey, signToken } from '@hallpass/tokens'
import { forgeToken } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { CallersFile } from './callers-file.ts'
import { privateKeyJwt } from './credentials.ts'

const AUDIENCE = 'https://jwt-factory/'
const CLUSTER = 'https://kubernetes.default.svc.cluster.local'
const WORKLOAD = 'spiffe://example.org/service-a'
const POD = 'system:serviceaccount:default:service-a'

let folder: string
let keyOfA: SigningKey
let keyOfB: SigningKey
let clusterKey: SigningKey
const clock = new ManualClock()
let callers: CallersFile

const config = (file: string) =>
  ({ mode: 'authenticated', trustFile: join(folder, file), leewaySeconds: 5 }) as const

/** Opens a trusted-callers file of the folder, as a start does. */
async function open(file: string): Promise<CallersFile> {
  const opened = new CallersFile(config(file), AUDIENCE, { clock: clock.now })
  await opened.load()
  return opened
}

const publish = (file: string, keys: SigningKey[]) =>
  writeFile(join(folder, file), JSON.stringify(publicJwks(keys)))

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trusted-callers-'))
  ;[keyOfA, keyOfB, clusterKey] = (await Promise.all(
    ['a', 'b', 'cluster'].map((kid) => generateSigningKey('ES256', kid)),
  )) as [SigningKey, SigningKey, SigningKey]
  await publish('a.json', [keyOfA])
  await publish('b.json', [keyOfB])
  await publish('cluster.json', [clusterKey])
  await publish('bundle.json', [clusterKey])
  const file = {
    callers: [
      { method: 'private_key_jwt', clientId: 'servicea', jwksFile: 'a.json', keyId: 'servicea' },
      { method: 'private_key_jwt', clientId: 'serviceb', jwksFile: 'b.json', keyId: 'serviceb' },
      {
        method: 'kubernetes',
        issuer: CLUSTER,
        jwksFile: 'cluster.json',
        subjects: { [POD]: { keyId: 'servicea' }, 'system:serviceaccount:ops:admin': { admin: true } },
      },
      {
        method: 'spiffe',
        trustDomain: 'example.org',
        jwksFile: 'bundle.json',
        subjects: { [WORKLOAD]: { keyId: 'servicea' } },
      },
    ],
  }
  await writeFile(join(folder, 'callers.json'), JSON.stringify(file))
})
afterAll(() => rm(folder, { recursive: true }))
beforeEach(async () => {
  callers = await open('callers.json')
})

const assertion = (
  claims: object = {},
  key = keyOfA,
  options: { typ?: string; lifetimeSeconds?: number } = {},
) =>
  signToken({ iss: 'servicea', sub: 'servicea', aud: AUDIENCE, ...claims }, key, {
    lifetimeSeconds: 30,
    clock: clock.now,
    ...options,
  })

/** As the API server issues them: the audience in a list. */
const podToken = (claims: object = {}) =>
  signToken({ iss: CLUSTER, sub: POD, aud: [AUDIENCE], ...claims }, clusterKey, {
    lifetimeSeconds: 3600,
    clock: clock.now,
  })

/** SPIRE omits iss unless one is configured. */
const svid = (claims: object = {}, lifetimeSeconds = 300, key = clusterKey) =>
  signToken({ sub: WORKLOAD, aud: [AUDIENCE], ...claims }, key, { lifetimeSeconds, clock: clock.now })

const rejection = (message: string) => ({
  status: 401,
  code: 'invalid_client',
  message: `Client authentication failed: ${message}.`,
  headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
})

describe('a client assertion (private_key_jwt)', () => {
  it('identifies the caller and its rights', async () => {
    const authorization = privateKeyJwt({
      clientId: 'servicea',
      audience: AUDIENCE,
      key: keyOfA,
      clock: clock.now,
    })
    const token = (await authorization()).replace('Bearer ', '')
    expect(await callers.identify(token)).toEqual({
      subject: 'servicea',
      keyId: 'servicea',
      admin: false,
      claims: [],
      scopes: [],
    })
  })

  it('is accepted only once', async () => {
    const token = await assertion()
    await callers.identify(token)
    await expect(callers.identify(token)).rejects.toMatchObject(rejection('the assertion was already used'))
  })

  it('is rejected for another audience, or for several (rfc7523bis)', async () => {
    const wrong = `jwt audience invalid. expected: ${AUDIENCE}`
    await expect(callers.identify(await assertion({ aud: 'https://other/' }))).rejects.toMatchObject(
      rejection(wrong),
    )
    await expect(callers.identify(await assertion({ aud: [AUDIENCE] }))).rejects.toMatchObject(
      rejection(wrong),
    )
    await expect(
      callers.identify(await assertion({ aud: [AUDIENCE, 'https://other/'] })),
    ).rejects.toMatchObject(rejection(wrong))
  })

  it('is rejected when another client signed it', async () => {
    await expect(callers.identify(await assertion({}, keyOfB))).rejects.toMatchObject(
      rejection('invalid signature'),
    )
  })

  it('is rejected when its sub is not its iss', async () => {
    await expect(callers.identify(await assertion({ sub: 'serviceb' }))).rejects.toMatchObject(
      rejection('iss and sub of the assertion must both be the client ID'),
    )
  })

  it('is rejected when it has expired, or is valid for more than a minute', async () => {
    await expect(
      callers.identify(await assertion({}, keyOfA, { lifetimeSeconds: -30 })),
    ).rejects.toMatchObject(rejection('jwt expired'))
    await expect(
      callers.identify(await assertion({}, keyOfA, { lifetimeSeconds: 61 })),
    ).rejects.toMatchObject(rejection('jwt lifetime too long'))
  })

  it('is rejected when it has another typ', async () => {
    await expect(callers.identify(await assertion({}, keyOfA, { typ: 'at+jwt' }))).rejects.toMatchObject(
      rejection('jwt type invalid. expected: JWT or client-authentication+jwt'),
    )
  })

  it('is rejected when its issuer is not listed, or when it is not a token', async () => {
    await expect(callers.identify(await assertion({ iss: 'mallory', sub: 'mallory' }))).rejects.toMatchObject(
      rejection('the issuer of the assertion is not trusted'),
    )
    await expect(callers.identify('abc')).rejects.toMatchObject(rejection('jwt malformed'))
  })

  it('is accepted with a newly published key, without a restart', async () => {
    await callers.identify(await assertion())
    const next = await generateSigningKey('ES256', `a-${randomUUID()}`)
    await publish('a.json', [keyOfA, next])
    expect((await callers.identify(await assertion({}, next))).subject).toBe('servicea')
  })
})

describe('a projected Kubernetes token', () => {
  it('identifies the service account, every time it is used', async () => {
    const token = await podToken()
    expect(await callers.identify(token)).toMatchObject({ subject: POD, keyId: 'servicea', admin: false })
    expect(await callers.identify(token)).toMatchObject({ subject: POD })
    expect(await callers.identify(await podToken({ sub: 'system:serviceaccount:ops:admin' }))).toMatchObject({
      admin: true,
    })
  })

  it('is rejected when it has another audience, too', async () => {
    await expect(callers.identify(await podToken({ aud: [AUDIENCE, CLUSTER] }))).rejects.toMatchObject(
      rejection('the assertion has more than one audience'),
    )
    await expect(callers.identify(await podToken({ aud: [CLUSTER] }))).rejects.toMatchObject({ status: 401 })
  })

  it('gets 403 for an account that is not listed', async () => {
    await expect(
      callers.identify(await podToken({ sub: 'system:serviceaccount:default:other' })),
    ).rejects.toMatchObject({
      status: 403,
      code: 'caller_not_listed',
    })
  })
})

describe('a JWT-SVID', () => {
  it('identifies the workload without an iss, with the bundle of its trust domain', async () => {
    expect(await callers.identify(await svid())).toMatchObject({ subject: WORKLOAD, keyId: 'servicea' })
    expect(await callers.identify(await svid({ iss: 'https://spire.example' }))).toMatchObject({
      subject: WORKLOAD,
    })
  })

  it('is rejected for another audience, several audiences, another trust domain, and when expired', async () => {
    await expect(callers.identify(await svid({ aud: ['https://other/'] }))).rejects.toMatchObject({
      status: 401,
      code: 'invalid_client',
      message: expect.stringContaining('expected audience'),
    })
    await expect(callers.identify(await svid({ aud: [AUDIENCE, 'https://other/'] }))).rejects.toMatchObject(
      rejection('the assertion has more than one audience'),
    )
    await expect(callers.identify(await svid({ sub: 'spiffe://other.org/service-a' }))).rejects.toMatchObject(
      rejection('the issuer of the assertion is not trusted'),
    )
    await expect(callers.identify(await svid({}, -60))).rejects.toMatchObject(
      rejection('jwtsvid: token has expired'),
    )
  })

  it('is rejected if it is valid for longer than a workload token may be, with and without iat', async () => {
    expect(await callers.identify(await svid({}, 3_660))).toMatchObject({ subject: WORKLOAD })
    const tenYears = 10 * 365 * 86_400
    for (const lifetime of [3_661, 86_400, tenYears])
      await expect(callers.identify(await svid({}, lifetime))).rejects.toMatchObject(
        rejection('jwt lifetime too long'),
      )
    const exp = Math.floor(clock.now() / 1000) + tenYears
    const withoutIat = forgeToken({
      header: { alg: 'ES256', kid: 'cluster' },
      claims: { sub: WORKLOAD, aud: AUDIENCE, exp },
      key: clusterKey,
      alg: 'ES256',
    })
    await expect(callers.identify(withoutIat)).rejects.toMatchObject(rejection('jwt lifetime too long'))
  })

  it('gets 403 for a workload that is not listed', async () => {
    await expect(callers.identify(await svid({ sub: 'spiffe://example.org/other' }))).rejects.toMatchObject({
      status: 403,
      code: 'caller_not_listed',
    })
  })

  it('is accepted from a new authority within seconds of its addition to the bundle', async () => {
    await callers.identify(await svid())
    const next = await generateSigningKey('ES256', 'next')
    await publish('bundle.json', [clusterKey, next])
    clock.advance(5_001)
    expect((await callers.identify(await svid({}, 300, next))).subject).toBe(WORKLOAD)
  })
})

describe('keys that cannot be read', () => {
  it.each([
    ['deleted', (file: string) => rm(file)],
    ['replaced by something else', (file: string) => writeFile(file, 'no JSON')],
    ['emptied', (file: string) => writeFile(file, '')],
  ])(
    'are distrusted ten seconds after their file was %s, and trusted again when it is back',
    async (_what, spoil) => {
      const asA = async () => callers.identify(await assertion())
      const asWorkload = async () => callers.identify(await svid())
      await asA()
      await asWorkload()
      for (const file of ['a.json', 'bundle.json']) await spoil(join(folder, file))
      clock.advance(9_999)
      expect((await asA()).subject).toBe('servicea')
      expect((await asWorkload()).subject).toBe(WORKLOAD)
      clock.advance(2)
      for (const identify of [asA, asWorkload])
        await expect(identify()).rejects.toMatchObject({ status: 503, code: 'keys_unusable' })
      await expect(open('callers.json')).rejects.toMatchObject({ name: 'ConfigError' })
      await publish('a.json', [keyOfA])
      await publish('bundle.json', [clusterKey])
      clock.advance(1_001)
      expect((await asA()).subject).toBe('servicea')
      expect((await asWorkload()).subject).toBe(WORKLOAD)
    },
  )
})

describe('a key that is removed from its file', () => {
  it('is distrusted within four seconds: of a client, of a cluster and of a trust domain', async () => {
    const next = await generateSigningKey('ES256', 'next')
    await callers.identify(await assertion())
    await callers.identify(await podToken())
    await callers.identify(await svid())
    for (const file of ['a.json', 'cluster.json', 'bundle.json']) await publish(file, [next])
    clock.advance(4_001)
    for (const token of [await assertion(), await podToken(), await svid()])
      await expect(callers.identify(token)).rejects.toMatchObject({ status: 401, code: 'invalid_client' })
    await publish('a.json', [keyOfA])
    await publish('cluster.json', [clusterKey])
    await publish('bundle.json', [clusterKey])
  })
})
