import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '@hallpass/service-kit/testing'
import { staticKeys, verifyToken } from '@hallpass/tokens'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Authorities } from './authorities.ts'
import { issueX509Svid } from './certificate-authority.ts'
import { issueJwtSvid } from './jwt-authority.ts'

const HOUR = 3_600_000

let folder: string
let clock: ManualClock
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'authorities-'))
  clock = new ManualClock()
})
afterEach(() => rm(folder, { recursive: true }))

const open = (trustDomain = 'example.org') =>
  Authorities.open({
    folder,
    trustDomain,
    x509LifetimeMs: 24 * HOUR,
    jwtLifetimeMs: 24 * HOUR,
    jwtAlgorithm: 'ES256',
    overlapMs: 5_000,
    longestX509SvidMs: () => HOUR,
    longestJwtSvidMs: () => 300_000,
    clock: clock.now,
  })

describe('Authorities', () => {
  it('stores its keys in a file that only their owner can read', async () => {
    await open()
    expect((await stat(join(folder, 'authorities.json'))).mode & 0o777).toBe(0o600)
    expect(await readFile(join(folder, 'authorities.json'), 'utf8')).toContain('BEGIN PRIVATE KEY')
  })

  it('is the same after a restart, even during a rotation', async () => {
    const before = await open()
    const next = await before.rotate('x509')
    const after = await open()
    expect(after.x509.active.id).toBe(before.x509.active.id)
    expect(after.jwt.active.id).toBe(before.jwt.active.id)
    expect(after.sequence).toBe(before.sequence)
    expect(after.x509.published.map(({ certificate }) => certificate.toString('hex'))).toEqual(
      before.x509.published.map(({ certificate }) => certificate.toString('hex')),
    )
    clock.advance(5_000)
    await after.advance()
    expect(after.x509.active.id).toBe(next)
  })

  it('signs with the same authorities after a restart', async () => {
    const { x509, jwt } = await open()
    const after = await open()
    const request = { spiffeId: 'spiffe://example.org/a', lifetimeMs: 60_000, now: clock.now() }
    const svid = await issueX509Svid(after.x509.active, { ...request, dnsNames: [] })
    const root = new X509Certificate(x509.active.certificate)
    const leaf = new X509Certificate(svid.certificate)
    expect(leaf.checkIssued(root) && leaf.verify(root.publicKey)).toBe(true)
    const token = await issueJwtSvid(after.jwt.active, {
      ...request,
      audience: ['b'],
      issuer: 'http://agent',
    })
    const { claims, header } = await verifyToken(token, {
      issuer: 'http://agent',
      audience: 'b',
      subject: 'spiffe://example.org/a',
      keys: staticKeys('http://agent', [jwt.active.key]),
      audienceList: 'contains',
      maxLifetimeSeconds: 60,
      clock: clock.now,
    })
    expect(header).toEqual({ alg: 'ES256', typ: 'JWT', kid: jwt.active.id })
    expect(claims).toMatchObject({ sub: 'spiffe://example.org/a', aud: ['b'], exp: clock.now() / 1000 + 60 })
  })

  it('never issues an SVID that outlives its authority', async () => {
    const { x509, jwt } = await open()
    clock.advance(24 * HOUR - 60_000)
    const request = { spiffeId: 'spiffe://example.org/a', lifetimeMs: HOUR, now: clock.now() }
    const svid = await issueX509Svid(x509.active, { ...request, dnsNames: [] })
    expect(svid.notAfter).toBe(x509.active.notAfter)
    const token = await issueJwtSvid(jwt.active, { ...request, audience: ['b'], issuer: 'http://agent' })
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
    expect(exp * 1000).toBe(jwt.active.notAfter)
  })

  it('counts every change of the bundle', async () => {
    const authorities = await open()
    const first = authorities.sequence
    await authorities.advance()
    expect(authorities.sequence).toBe(first)
    await authorities.rotate('jwt')
    expect(authorities.sequence).toBe(first + 1)
    expect(await authorities.retire('jwt')).toEqual([])
    expect(authorities.sequence).toBe(first + 1)
    clock.advance(5_000)
    await authorities.advance()
    const [old] = await authorities.retire('jwt')
    expect(authorities.jwt.published.map(({ id }) => id)).not.toContain(old)
    expect(authorities.sequence).toBe(first + 3)
  })

  it('rejects the keys of another trust domain', async () => {
    await open()
    await expect(open('other.org')).rejects.toThrow(
      'contains the keys of the trust domain example.org, not of other.org',
    )
  })
})
