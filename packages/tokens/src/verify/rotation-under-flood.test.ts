import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import {
  anySubject,
  cachedVerifier,
  generateSigningKey,
  publicJwks,
  remoteKeys,
  type SigningKey,
  type VerificationRules,
} from '../index.ts'
import { forgeToken } from '../testing.ts'

const ISSUER = 'https://issuer'
const NOW = 1_800_000_000
const SECOND = 1_000

const servers: http.Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

/** An issuer that publishes its set, or one key by `?kid=`, over HTTP, and a verifier of its tokens. */
async function issuerWith(first: SigningKey, { byKid = false } = {}) {
  const state = { now: NOW * SECOND, loads: 0, keys: [first], hold: undefined as Promise<void> | undefined }
  const server = http.createServer(async ({ url = '' }, response) => {
    state.loads += 1
    const kid = new URL(url, ISSUER).searchParams.get('kid')
    const found =
      kid === null ? state.keys.slice(0, byKid ? 1 : undefined) : state.keys.filter((key) => key.kid === kid)
    // Read before the wait, as an issuer whose response is on its way while it rotates.
    const body = JSON.stringify(publicJwks(found))
    await state.hold
    response.writeHead(found.length > 0 ? 200 : 404).end(body)
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const get = async (query = '') => {
    const answer = await fetch(url + query)
    const text = await answer.text()
    return answer.status === 404 ? undefined : JSON.parse(text)
  }
  const rules: VerificationRules = {
    issuer: ISSUER,
    audience: 'api',
    subject: anySubject,
    maxLifetimeSeconds: 3_600,
    clock: () => state.now,
    keys: remoteKeys({
      issuer: ISSUER,
      clock: () => state.now,
      load: () => get(),
      ...(byKid ? { loadKey: (kid: string) => get(`?kid=${encodeURIComponent(kid)}`) } : {}),
    }),
  }
  const verifier = cachedVerifier(rules)
  const verify = (token: string) =>
    verifier(token).then(
      () => 'accepted',
      (error: { name: string; reason?: string; message: string; retryAfterSeconds?: number }) => [
        error.reason ?? error.name,
        error.message,
        ...(error.retryAfterSeconds === undefined ? [] : [error.retryAfterSeconds]),
      ],
    )
  return Object.assign(state, { verify })
}

const claims = { iss: ISSUER, aud: 'api', sub: 'ada', iat: NOW, exp: NOW + 600 }
const tokenOf = (key: SigningKey, changed: object = {}, kid = key.kid) =>
  forgeToken({
    header: { alg: 'ES256', typ: 'JWT', kid },
    claims: { ...claims, ...changed },
    key,
    alg: 'ES256',
  })
const newKey = (kid: string) => generateSigningKey('ES256', kid)

const UNKNOWN = ['key_unknown', 'invalid signature']
const retryAfter = (seconds: number) => [
  'KeyNotLoadedError',
  `The key of this token is not known, and the keys of ${ISSUER} were loaded moments ago. Retry after ${seconds} s.`,
  seconds,
]

describe('a token with a key that is not known while strangers use up the loads of the key set', () => {
  it('is not rejected, and is accepted after six seconds although the strangers continue', async () => {
    const [old, young, stranger] = [await newKey('old'), await newKey('young'), await newKey('stranger')]
    const issuer = await issuerWith(old)
    const flood = async (of: string) => {
      for (let n = 0; n < 50; n += 1) await issuer.verify(tokenOf(stranger, {}, `${of}-${n}`))
    }
    expect(await issuer.verify(tokenOf(old))).toBe('accepted')
    await flood('first')
    expect(issuer.loads).toBe(6)
    issuer.keys = [old, young]
    expect(await issuer.verify(tokenOf(young))).toEqual(retryAfter(6))
    issuer.now += 4_500
    await flood('second')
    expect(await issuer.verify(tokenOf(young))).toEqual(retryAfter(2))
    expect(await issuer.verify(tokenOf(old))).toBe('accepted')
    issuer.now += 1_500
    await flood('third')
    expect(await issuer.verify(tokenOf(young))).toBe('accepted')
  })

  it('costs the issuer at most five loads and then ten a minute', async () => {
    const [old, stranger] = [await newKey('old'), await newKey('stranger')]
    const issuer = await issuerWith(old)
    await issuer.verify(tokenOf(old))
    for (let second = 0; second < 120; second += 1) {
      issuer.now = (NOW + second) * SECOND
      for (let n = 0; n < 10; n += 1) await issuer.verify(tokenOf(stranger, {}, `${second}-${n}`))
    }
    expect(issuer.loads).toBeLessThanOrEqual(1 + 5 + 20)
    expect(issuer.loads).toBeGreaterThanOrEqual(1 + 5 + 19)
  })

  it('is not rejected either if the issuer publishes it by its kid alone', async () => {
    const [old, young, stranger] = [await newKey('old'), await newKey('young'), await newKey('stranger')]
    const issuer = await issuerWith(old, { byKid: true })
    await issuer.verify(tokenOf(old))
    for (let n = 0; n < 20; n += 1)
      expect(await issuer.verify(tokenOf(stranger, {}, `stranger-${n}`))).toEqual(UNKNOWN)
    issuer.keys = [old, young]
    expect(await issuer.verify(tokenOf(young))).toEqual(retryAfter(2))
    issuer.now += 1_500
    expect(await issuer.verify(tokenOf(young))).toBe('accepted')
  })
})

describe('a load that was running when a token came', () => {
  it('does not prove that its key is made up, because the set may have been read before', async () => {
    const [old, young, stranger] = [await newKey('old'), await newKey('young'), await newKey('stranger')]
    const issuer = await issuerWith(old)
    await issuer.verify(tokenOf(old))
    let release = () => {}
    issuer.hold = new Promise((resolve) => {
      release = resolve
    })
    const first = issuer.verify(tokenOf(stranger))
    while (issuer.loads < 2) await new Promise(setImmediate)
    issuer.keys = [old, young]
    issuer.now += 1
    const others = Array.from({ length: 20 }, () => issuer.verify(tokenOf(young)))
    release()
    expect(await first).toEqual(UNKNOWN)
    expect(new Set(await Promise.all(others))).toEqual(new Set(['accepted']))
    expect(issuer.loads).toBe(3)
  })
})

describe('a token that would be rejected with any key', () => {
  it.each<[string, object, string]>([
    ['has expired', { exp: NOW - 1, iat: NOW - 60 }, 'expired'],
    ['is not valid yet', { nbf: NOW + 60 }, 'not_active_yet'],
    ['is for another audience', { aud: 'another' }, 'audience_mismatch'],
    ['has no subject', { sub: undefined }, 'subject_missing'],
    ['was issued in the future', { iat: NOW + 60 }, 'issued_in_future'],
    ['is valid for too long', { exp: NOW + 7_200 }, 'lifetime_too_long'],
  ])('because it %s costs no load', async (_what, changed, reason) => {
    const [old, stranger] = [await newKey('old'), await newKey('stranger')]
    const issuer = await issuerWith(old)
    await issuer.verify(tokenOf(old))
    const byKid = await issuer.verify(tokenOf(stranger, changed))
    expect(byKid[0]).toBe(reason)
    expect(issuer.loads).toBe(1)
    expect(await issuer.verify(tokenOf(stranger, changed, 'old'))).toEqual([
      'signature_invalid',
      'invalid signature',
    ])
    expect(issuer.loads).toBe(1)
  })
})
