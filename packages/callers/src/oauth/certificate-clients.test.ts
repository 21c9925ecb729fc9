import { EXTENDED_KEY_USAGE, parsePemCertificates } from '@hallpass/x509'
import { describe, expect, it } from '@jest/globals'
import { TestAuthority } from '../testing.ts'
import { CertificateClients } from './certificate-clients.ts'

const NOW = Date.now()
const authority = new TestAuthority('clients')
const intermediate = new TestAuthority('department', authority)
const other = new TestAuthority('clients')
const ca = authority.pem

const der = (...pems: string[]) => pems.flatMap(parsePemCertificates).map(({ raw }) => raw)
const clients = new CertificateClients(
  [
    { clientId: 'dn', ca, subjectDn: 'CN=batch,O=Example' },
    { clientId: 'dns', ca, sanDns: 'Batch.example' },
    { clientId: 'uri', ca, sanUri: 'spiffe://example.org/batch' },
    { clientId: 'ipv4', ca, sanIp: '192.0.2.1' },
    { clientId: 'ipv6', ca, sanIp: '2001:DB8:0::1' },
    { clientId: 'department', ca: intermediate.pem, sanDns: 'batch.example' },
  ],
  () => NOW,
)
const faultOf = (clientId: string, certificates: readonly Buffer[]) => {
  try {
    clients.authenticate(clientId, certificates)
    return undefined
  } catch (error) {
    expect(error).toMatchObject({
      status: 401,
      code: 'invalid_client',
      headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
    })
    return (error as Error).message
  }
}
const failed = (why: string) => `Client authentication failed: ${why}.`

const ipv6 = Buffer.from('20010db8000000000000000000000001', 'hex')
const good = authority.issue({
  subject: [
    ['organization', 'Example'],
    ['commonName', 'batch'],
  ],
  names: {
    dnsNames: ['other.example', 'batch.EXAMPLE'],
    uris: ['spiffe://example.org/batch'],
    ipAddresses: [Buffer.from([192, 0, 2, 1]), ipv6],
  },
})

describe('a client certificate (tls_client_auth)', () => {
  it.each(['dn', 'dns', 'uri', 'ipv4', 'ipv6'])('authenticates the client with its %s', (clientId) => {
    expect(faultOf(clientId, der(good.cert))).toBeUndefined()
  })

  it('is accepted from an intermediate CA that the client sends, or that the entry trusts itself', () => {
    const { cert } = intermediate.issue({ names: { dnsNames: ['batch.example'] } })
    expect(faultOf('dns', der(cert))).toBe(failed('x509: certificate signed by unknown authority'))
    expect(faultOf('dns', der(cert, intermediate.pem))).toBeUndefined()
    expect(faultOf('department', der(cert))).toBeUndefined()
  })

  it('is accepted without its intermediate CA once that has been verified, as in a resumed TLS session', () => {
    const own = new CertificateClients([{ clientId: 'dns', ca, sanDns: 'batch.example' }], () => NOW)
    const names = { dnsNames: ['batch.example'] }
    const chains = Array.from({ length: 17 }, (_, index) => {
      const department = new TestAuthority(`department ${index}`, authority)
      return [department.issue({ names }).cert, department.pem] as const
    })
    for (const chain of chains) own.authenticate('dns', der(...chain))
    const [[oldest], ...others] = chains as [(typeof chains)[number], ...typeof chains]
    for (const [cert] of others) own.authenticate('dns', der(cert))
    // Only so many are kept.
    expect(own.recognizes(der(oldest))).toBe(false)
  })

  it('AL-43 is rejected from another CA, even one of the same name', () => {
    const { cert } = other.issue({ names: { dnsNames: ['batch.example'] } })
    expect(faultOf('dns', der(cert, other.pem))).toBe(failed('x509: certificate signed by unknown authority'))
  })

  it('AL-43 is rejected with another name, and with the name in another place', () => {
    const { cert } = authority.issue({
      subject: [['commonName', 'batch.example']],
      names: { dnsNames: ['spiffe://example.org/batch', '192.0.2.1', 'sub.batch.example'] },
    })
    expect(faultOf('dn', der(cert))).toBe(
      failed('the certificate does not have the subject CN=batch,O=Example'),
    )
    for (const [clientId, name] of [
      ['dns', 'Batch.example'],
      ['uri', 'spiffe://example.org/batch'],
      ['ipv4', '192.0.2.1'],
    ] as const)
      expect(faultOf(clientId, der(cert))).toBe(
        failed(`the certificate does not have the subject alternative name ${name}`),
      )
  })

  it('is rejected outside its validity, and if it is only for servers', () => {
    const names = { dnsNames: ['batch.example'] }
    const second = Math.floor(NOW / 1000) * 1000
    expect(faultOf('dns', der(authority.issue({ names, notAfter: second - 2000 }).cert))).toContain(
      'x509: certificate has expired or is not yet valid: current time',
    )
    expect(faultOf('dns', der(authority.issue({ names, notBefore: second + 2000 }).cert))).toContain(
      'x509: certificate has expired or is not yet valid: current time',
    )
    const forServers = authority.issue({ names, purposes: [EXTENDED_KEY_USAGE.serverAuth] })
    expect(faultOf('dns', der(forServers.cert))).toBe(failed('the certificate is not for TLS clients'))
    expect(faultOf('dns', der(authority.issue({ names, purposes: [] }).cert))).toBeUndefined()
  })

  it('is rejected for an unknown client, if it is missing, and if it is not DER', () => {
    expect(faultOf('nobody', der(good.cert))).toBe(failed('no client with this client_id uses a certificate'))
    expect(faultOf('dns', [])).toBe(failed('the connection has no certificate'))
    expect(faultOf('dns', [Buffer.from('3003020101', 'hex')])).toBe(failed('expected tag 0x30, found 0x2'))
  })

  it('is recognized whichever client it is of', () => {
    expect(clients.recognizes(der(good.cert))).toBe(true)
    expect(clients.recognizes(der(other.issue({ names: { dnsNames: ['batch.example'] } }).cert))).toBe(false)
    expect(clients.recognizes([])).toBe(false)
  })
})
