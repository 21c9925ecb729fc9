import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { subjectKeyIdentifier, toPem, writeCertificate, writeName } from '@hallpass/x509'
import { describe, expect, it } from '@jest/globals'
import { createAuthority, issueLeaf } from './authority.ts'

const DAYS = 2
const names = { dnsNames: ['localhost', 'service-b'], ipAddresses: [Buffer.from([127, 0, 0, 1])], days: DAYS }

describe('createAuthority and issueLeaf', () => {
  it('make a CA and a leaf certificate that Node accepts for each of its names', async () => {
    const authority = await createAuthority('Test CA', { days: DAYS })
    const ca = new X509Certificate(authority.certificate)
    const issued = await issueLeaf(authority, names)
    const leaf = new X509Certificate(issued.certificate)
    expect([ca.subject, ca.ca, ca.verify(ca.publicKey)]).toEqual(['CN=Test CA\nO=Hallpass', true, true])
    expect([leaf.subject, leaf.ca]).toEqual(['CN=localhost\nO=Hallpass', false])
    expect([leaf.checkIssued(ca), leaf.verify(ca.publicKey)]).toEqual([true, true])
    expect(leaf.checkPrivateKey(createPrivateKey(issued.privateKey))).toBe(true)
    expect([leaf.checkHost('service-b'), leaf.checkIP('127.0.0.1')]).toEqual(['service-b', '127.0.0.1'])
    expect(leaf.checkHost('service-c')).toBeUndefined()
  })

  it('issues for an authority with a different kind of key identifier', async () => {
    const { privateKey } = await createAuthority('Earlier CA', { days: DAYS })
    const name = writeName(['commonName', 'Earlier CA'])
    const raw = writeCertificate(
      {
        subject: name,
        publicKey: createPublicKey(privateKey),
        notBefore: Date.now(),
        notAfter: Date.now() + 60_000,
        extensions: [subjectKeyIdentifier(Buffer.alloc(20, 7))],
      },
      { name, privateKey: createPrivateKey(privateKey) },
    )
    const { certificate } = await issueLeaf({ certificate: toPem({ raw }), privateKey }, names)
    // OpenSSL accepts an issuer only if its key identifier is the one that the leaf names.
    expect(new X509Certificate(certificate).checkIssued(new X509Certificate(raw))).toBe(true)
  })
})
