import { parseCertificate, parsePemCertificates } from '@hallpass/x509'
import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  type CertificateShape,
  keyUsageBits,
  rawExtension,
  TestAuthority,
  TestTrustDomain,
} from '../testing/index.ts'
import { X509Bundle } from '../x509-bundle/bundle.ts'
import { X509BundleSet } from '../x509-bundle/set.ts'
import { X509Svid } from './svid.ts'
import { verifyX509Svid } from './verify.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')
const clock = () => NOW
const ID = 'spiffe://example.org/a'

let domain: TestTrustDomain
beforeAll(async () => {
  domain = await TestTrustDomain.create('example.org', clock)
})

const verify = (chain: readonly Uint8Array[], bundle: X509Bundle = domain.x509Bundle) =>
  verifyX509Svid(chain, new X509BundleSet([bundle]), { clock })
const anchoredAt = (...authorities: readonly TestAuthority[]) =>
  new X509Bundle(
    'example.org',
    authorities.map(({ der }) => parseCertificate(der)),
  )

describe('verifyX509Svid', () => {
  it('returns the ID and the path', async () => {
    const { chain } = await domain.authority.issue(ID)
    const { id, path } = verify(chain)
    expect(id.toString()).toBe(ID)
    expect(path.map(({ raw }) => raw)).toEqual([chain[0], domain.authority.der])
  })

  it.each([
    ['no certificate', async () => [], 'no_certificates', 'empty certificates chain'],
    [
      'invalid DER',
      async () => [Buffer.from('nonsense')],
      'malformed_certificate',
      'unable to parse certificate: ',
    ],
    [
      'no URI name',
      leaf({ uris: [] }),
      'no_uri_name',
      'could not get leaf SPIFFE ID: certificate contains no URI SAN',
    ],
    [
      'two URI names',
      leaf({ uris: [ID, `${ID}b`] }),
      'several_uri_names',
      'could not get leaf SPIFFE ID: certificate contains more than one URI SAN',
    ],
    [
      'a URI that is not a SPIFFE ID',
      leaf({ uris: ['spiffe://example.org/'] }),
      'trailing_slash',
      'could not get leaf SPIFFE ID: path cannot have a trailing slash',
    ],
    ['a CA', leaf({ isCa: true }), 'leaf_is_ca', 'leaf certificate with CA flag set to true'],
    [
      'one that signs certificates',
      leaf({ keyUsages: keyUsageBits.digitalSignature | keyUsageBits.keyCertSign }),
      'leaf_signs_certificates',
      'leaf certificate with KeyCertSign key usage',
    ],
    [
      'one that signs CRLs',
      leaf({ keyUsages: keyUsageBits.digitalSignature | keyUsageBits.cRLSign }),
      'leaf_signs_crls',
      'leaf certificate with KeyCrlSign key usage',
    ],
    [
      'a root path',
      leaf({ uris: ['spiffe://example.org'] }),
      'root_path',
      'leaf certificate SPIFFE ID must have a non-root path',
    ],
    [
      'an unknown trust domain',
      leaf({ uris: ['spiffe://b.test/a'] }),
      'bundle_missing',
      'could not get X509 bundle: x509bundle: no X.509 bundle for trust domain "b.test"',
    ],
    [
      'an expired one',
      leaf({ notAfter: NOW - 1000 }),
      'expired',
      'could not verify leaf certificate: x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is after 2025-12-31T23:59:59Z',
    ],
    [
      'one that is not valid yet',
      leaf({ notBefore: NOW + 1000 }),
      'not_yet_valid',
      'could not verify leaf certificate: x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is before 2026-01-01T00:00:01Z',
    ],
    [
      'another authority',
      async () => (await (await TestAuthority.root('example.org', clock)).issue(ID)).chain,
      'unknown_authority',
      'could not verify leaf certificate: x509: certificate signed by unknown authority',
    ],
    [
      'an unknown critical extension',
      leaf({ extensions: [rawExtension('1.2.3.4', true, Buffer.from('0500', 'hex'))] }),
      'unknown_critical_extension',
      'could not verify leaf certificate: x509: unhandled critical extension 1.2.3.4',
    ],
  ] as const)('rejects %s', async (_name, make, code, message) => {
    const chain = await make()
    expect(() => verify(chain)).toThrow(
      expect.objectContaining({
        name: 'X509SvidError',
        code,
        message: expect.stringContaining(`x509svid: ${message}`),
      }),
    )
  })

  function leaf(shape: CertificateShape) {
    return async () => (await domain.authority.issue(ID, shape)).chain
  }

  it('accepts the whole last second, and not the one after it', async () => {
    const { chain } = await domain.authority.issue(ID, { notAfter: NOW })
    const at = (time: number) => () => verifyX509Svid(chain, domain.x509Bundle, { clock: () => time })
    expect(at(NOW + 999)).not.toThrow()
    expect(at(NOW + 1000)).toThrow('is after 2026-01-01T00:00:00Z')
  })

  it('reports that a single bundle is of another trust domain', async () => {
    const { chain } = await domain.authority.issue('spiffe://b.test/a')
    expect(() => verifyX509Svid(chain, domain.x509Bundle, { clock })).toThrow(
      'x509svid: could not get X509 bundle: x509bundle: no X.509 bundle found for trust domain: "b.test"',
    )
  })
})

describe('the path to the authority', () => {
  const refused = 'certificate signed by unknown authority'

  it('uses intermediates in any order, among unrelated certificates', async () => {
    const upper = await domain.authority.intermediate('example.org')
    const lower = await upper.intermediate('example.org')
    const { chain } = await lower.issue(ID)
    const [first, second, third] = chain as [Buffer, Buffer, Buffer]
    const { chain: noise } = await (await TestAuthority.root('example.org', clock))
      .intermediate('example.org')
      .then((other) => other.issue(ID))
    expect(verify([first, third, ...noise.slice(1), second]).path).toHaveLength(4)
    expect(() => verify([first, third])).toThrow(refused)
  })

  it('can end at an intermediate that is in the bundle', async () => {
    const intermediate = await domain.authority.intermediate('example.org')
    const { chain } = await intermediate.issue(ID)
    expect(verify(chain.slice(0, 1), anchoredAt(intermediate)).path).toHaveLength(2)
  })

  it.each([
    ['that is not a CA', { isCa: false }],
    ['that is not allowed to sign', { keyUsages: keyUsageBits.cRLSign }],
    ['that has expired', { notAfter: NOW - 1000 }],
    [
      'with an unknown critical extension',
      { extensions: [rawExtension('1.2.3.4', true, Buffer.from('0500', 'hex'))] },
    ],
  ] as const)('does not lead over one %s', async (_name, shape) => {
    const intermediate = await domain.authority.intermediate('example.org', shape)
    const { chain } = await intermediate.issue(ID)
    expect(() => verify(chain)).toThrow(refused)
  })

  it('is not longer than an authority allows', async () => {
    const root = await TestAuthority.root('example.org', clock, { pathLength: 0 })
    const intermediate = await root.intermediate('example.org')
    expect(verify((await root.issue(ID)).chain, anchoredAt(root)).path).toHaveLength(2)
    const { chain } = await intermediate.issue(ID)
    expect(() => verify(chain, anchoredAt(root))).toThrow(refused)
  })

  it('does not loop', async () => {
    const { chain } = await domain.authority.issue(ID)
    const many = Array.from({ length: 30 }, () => chain[0] as Buffer)
    expect(verify([...chain, ...many, domain.authority.der]).path).toHaveLength(2)
  })

  it('does not end at the leaf, even if the leaf is in the bundle', async () => {
    const { chain } = await (await TestAuthority.root('example.org', clock)).issue(ID)
    const bundle = new X509Bundle('example.org', [parseCertificate(chain[0] as Buffer)])
    expect(() => verify(chain, bundle)).toThrow(refused)
  })

  describe('honors name constraints:', () => {
    // NameConstraints { permitted | excluded [ uniformResourceIdentifier | dNSName ] }
    const constrained = (subtrees: 'permitted' | 'excluded', kind: 'uri' | 'dns', name: string) => {
      const value = Buffer.concat([
        Buffer.from([kind === 'uri' ? 0x86 : 0x82, name.length]),
        Buffer.from(name),
      ])
      const tree = Buffer.concat([Buffer.from([0x30, value.length]), value])
      const list = Buffer.concat([Buffer.from([subtrees === 'permitted' ? 0xa0 : 0xa1, tree.length]), tree])
      return rawExtension('2.5.29.30', true, Buffer.concat([Buffer.from([0x30, list.length]), list]))
    }
    it.each([
      ['permitted', 'uri', 'example.org', true],
      ['permitted', 'uri', '.example.org', false],
      ['permitted', 'uri', 'example.com', false],
      ['excluded', 'uri', 'example.org', false],
      ['excluded', 'uri', 'other.org', true],
      ['permitted', 'dns', 'example.org', true],
      ['permitted', 'dns', 'other.org', false],
    ] as const)('%s %s %s', async (subtrees, kind, name, accepted) => {
      const authority = await TestAuthority.root('example.org', clock, {
        uris: [],
        extensions: [constrained(subtrees, kind, name)],
      })
      const { chain } = await authority.issue(ID, { dnsNames: ['a.example.org'] })
      const verdict = () => verify(chain, anchoredAt(authority))
      if (accepted) expect(verdict).not.toThrow()
      else expect(verdict).toThrow(refused)
    })
  })
})

describe('the own X.509-SVID', () => {
  it('can be read from DER and PEM, and written as PEM', async () => {
    const { chain, privateKey, pem, privateKeyPem } = await domain.authority.issue(ID)
    const ofDer = X509Svid.ofDer(Buffer.concat(chain), privateKey)
    const ofPem = X509Svid.ofPem(pem, privateKeyPem)
    expect(ofDer.equals(ofPem)).toBe(true)
    expect(ofDer.equals(X509Svid.ofPem(`${ofDer.toPem()}${ofDer.privateKeyPem()}`))).toBe(true)
    expect(ofDer.expiresAt).toBe(NOW + 3_600_000 + 1000)
    expect(JSON.stringify(ofDer)).toBe(
      '{"id":"spiffe://example.org/a","expiresAt":"2026-01-01T01:00:01.000Z","hint":""}',
    )
  })

  const prefix = 'x509svid: certificate validation failed: '
  it.each([
    [
      { uris: [] },
      'no_uri_name',
      `${prefix}cannot get leaf certificate SPIFFE ID: certificate contains no URI SAN`,
    ],
    [
      { uris: ['spiffe://example.org'] },
      'root_path',
      `${prefix}leaf certificate SPIFFE ID must have a non-root path`,
    ],
    [{ isCa: true }, 'leaf_is_ca', `${prefix}leaf certificate must not have CA flag set to true`],
    [
      { keyUsages: keyUsageBits.keyAgreement },
      'leaf_does_not_sign',
      `${prefix}leaf certificate must have 'digitalSignature' set as key usage`,
    ],
    [
      { keyUsages: keyUsageBits.digitalSignature | keyUsageBits.keyCertSign },
      'leaf_signs_certificates',
      `${prefix}leaf certificate must not have 'keyCertSign' set as key usage`,
    ],
    [
      { keyUsages: keyUsageBits.digitalSignature | keyUsageBits.cRLSign },
      'leaf_signs_crls',
      `${prefix}leaf certificate must not have 'cRLSign' set as key usage`,
    ],
  ] as const)('is rejected with %j', async (shape, code, message) => {
    const { chain, privateKey } = await domain.authority.issue(ID, shape)
    expect(() => X509Svid.ofDer(Buffer.concat(chain), privateKey)).toThrow(
      expect.objectContaining({ code, message }),
    )
  })

  it('is rejected with intermediates that cannot sign, without a key, and with another key', async () => {
    const { chain, privateKey, pem } = await domain.authority.issue(ID)
    const other = await domain.authority.issue(ID)
    const [leaf] = chain as [Buffer]
    expect(() => X509Svid.ofDer(Buffer.concat([leaf, other.chain[0] as Buffer]), privateKey)).toThrow(
      `${prefix}signing certificate must have CA flag set to true`,
    )
    const weak = await domain.authority.intermediate('example.org', { keyUsages: keyUsageBits.cRLSign })
    expect(() => X509Svid.ofDer(Buffer.concat([leaf, weak.der]), privateKey)).toThrow(
      `${prefix}signing certificate must have 'keyCertSign' set as key usage`,
    )
    expect(() => X509Svid.ofDer(Buffer.of(), privateKey)).toThrow(`${prefix}no certificates found`)
    const keyPrefix = 'x509svid: private key validation failed: '
    expect(() => X509Svid.ofPem(pem)).toThrow(`${keyPrefix}no private key found`)
    expect(() => X509Svid.ofDer(leaf, other.privateKey)).toThrow(
      `${keyPrefix}leaf certificate does not match private key`,
    )
    expect(() => X509Svid.ofDer(leaf, Buffer.of(1))).toThrow(
      'x509svid: cannot parse DER encoded private key: ',
    )
    expect(() => X509Svid.ofDer(Buffer.of(1), privateKey)).toThrow(
      'x509svid: cannot parse DER encoded certificate: ',
    )
  })
})

describe('certificates', () => {
  it('are parsed strictly: no trailing bytes, no other length encoding', async () => {
    const { chain } = await domain.authority.issue(ID)
    const good = chain[0] as Buffer
    expect(() => parseCertificate(Buffer.concat([good, Buffer.of(0)]))).toThrow('unexpected trailing bytes')
    expect(() => parseCertificate(good.subarray(0, -1))).toThrow('an element is truncated')
    const indefinite = Buffer.from(good)
    indefinite[1] = 0x80
    expect(() => parseCertificate(indefinite)).toThrow('a length is indefinite')
  })

  it('never crash the reader, whichever byte is wrong', async () => {
    const { chain } = await domain.authority.issue(ID)
    const good = chain[0] as Buffer
    for (let index = 0; index < good.length; index++) {
      const bad = Buffer.from(good)
      bad[index] = (bad[index] as number) ^ 0x55
      try {
        parseCertificate(bad)
      } catch (error) {
        expect(error).toMatchObject({ name: 'DerError' })
      }
    }
  })

  it('are found in PEM among other blocks', async () => {
    const { pem, privateKeyPem, chain } = await domain.authority.issue(ID)
    expect(parsePemCertificates(`# a comment\n${privateKeyPem}${pem}`).map(({ raw }) => raw)).toEqual(chain)
  })
})
