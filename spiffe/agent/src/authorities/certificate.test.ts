import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import {
  authorityName,
  type Issuer,
  writeAuthorityCertificate,
  writeWorkloadCertificate,
} from './certificate.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const HOUR = 3_600_000

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const issuer: Issuer = { name: authorityName('4711'), ...newKey() }
const authority = new X509Certificate(
  writeAuthorityCertificate('example.org', issuer, { notBefore: NOW, notAfter: NOW + 24 * HOUR }),
)

const leafFor = (dnsNames: string[] = [], notAfter = NOW + HOUR) =>
  new X509Certificate(
    writeWorkloadCertificate(
      {
        spiffeId: 'spiffe://example.org/server',
        dnsNames,
        publicKey: newKey().publicKey,
        notBefore: NOW - 10_000,
        notAfter,
      },
      issuer,
    ),
  )

describe('writeAuthorityCertificate', () => {
  it('is a self-signed CA whose SPIFFE ID is the trust domain', () => {
    expect(authority.subject).toBe('C=US\nO=SPIFFE\nserialNumber=4711')
    expect(authority.issuer).toBe(authority.subject)
    expect(authority.subjectAltName).toBe('URI:spiffe://example.org')
    expect(authority.ca).toBe(true)
    expect(authority.verify(authority.publicKey)).toBe(true)
    expect(new Date(authority.validTo).getTime()).toBe(NOW + 24 * HOUR)
  })
})

describe('writeWorkloadCertificate', () => {
  it('is a leaf issued by its authority, with one SPIFFE ID and a generic subject', () => {
    const leaf = leafFor()
    expect(leaf.subject).toBe('C=US\nO=SPIRE')
    expect(leaf.subjectAltName).toBe('URI:spiffe://example.org/server')
    expect(leaf.ca).toBe(false)
    expect(leaf.checkIssued(authority)).toBe(true)
    expect(leaf.verify(authority.publicKey)).toBe(true)
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    expect(new Date(leaf.validFrom).getTime()).toBe(NOW - 10_000)
  })

  it('contains the DNS names, the first also as the common name', () => {
    const leaf = leafFor(['localhost', 'server.example.org'])
    expect(leaf.subject).toBe('C=US\nO=SPIRE\nCN=localhost')
    expect(leaf.subjectAltName).toBe('URI:spiffe://example.org/server, DNS:localhost, DNS:server.example.org')
  })

  it('writes times from 2050 on as GeneralizedTime', () => {
    const notAfter = Date.parse('2051-02-03T04:05:06Z')
    expect(new Date(leafFor([], notAfter).validTo).getTime()).toBe(notAfter)
  })

  it('never repeats a serial number, and each is positive and at most 20 octets long', () => {
    const serials = Array.from({ length: 200 }, () => leafFor().serialNumber)
    expect(new Set(serials).size).toBe(200)
    for (const serial of serials) expect(serial).toMatch(/^[0-9A-F]{2,40}$/)
  })
})
