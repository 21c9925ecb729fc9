import { createHash, X509Certificate } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { DerReader, inside, readObjectIdentifier } from './der/reader.ts'
import { TAG } from './der/tags.ts'
import { findPath } from './path.ts'
import { type Certificate, parseCertificate } from './read/certificate.ts'
import { chains } from './testing/chains.ts'
import { NOW } from './testing/forge.ts'

/** Returns the result, or `undefined` if it throws. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

const certificates = new Map(
  chains.flatMap(({ name, leaf, intermediates, anchors }) =>
    [leaf, ...intermediates, ...anchors].map((der, index) => [`${name}, ${index}`, der] as const),
  ),
)
const readable = [...certificates].flatMap(([name, der]) => {
  const ours = attempt(() => parseCertificate(der))
  return ours ? [[name, ours] as const] : []
})

describe('findPath', () => {
  it.each(chains.map((chain) => [chain.name, chain] as const))('%s', (_name, chain) => {
    const verdict = () => {
      try {
        findPath(
          parseCertificate(chain.leaf),
          chain.intermediates.map(parseCertificate),
          chain.anchors.map(parseCertificate),
          NOW,
        )
        return 'accepted'
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    expect(verdict()).toBe(chain.verdict)
  })
})

describe('compared with X509Certificate of Node', () => {
  it.each(readable)('reads %s the same', (_name, ours) => {
    const node = new X509Certificate(ours.raw)
    expect({
      subject: printName(ours.subject),
      issuer: printName(ours.issuer),
      notBefore: ours.notBefore,
      notAfter: ours.notAfter,
      names: printNames(ours),
      purposes: ours.extendedKeyUsages,
      fingerprint: createHash('sha256').update(ours.raw).digest('hex').toUpperCase(),
      // For OpenSSL, a CA must also be allowed to sign certificates.
      isCa: ours.isCa && (ours.keyUsages?.has('keyCertSign') ?? true),
    }).toEqual({
      subject: node.subject ?? '',
      issuer: node.issuer,
      notBefore: Date.parse(node.validFrom),
      notAfter: Date.parse(node.validTo),
      names: node.subjectAltName,
      purposes: node.keyUsage,
      fingerprint: node.fingerprint256.replaceAll(':', ''),
      isCa: node.ca,
    })
  })

  it('accepts no issuer that Node does not', () => {
    let links = 0
    for (const { leaf, intermediates, anchors } of chains) {
      const all = [leaf, ...intermediates, ...anchors].flatMap(
        (der) => attempt(() => parseCertificate(der)) ?? [],
      )
      for (const below of all)
        for (const above of all) {
          if (!attempt(() => findPath(below, [], [above], NOW))) continue
          links += 1
          expect(below.x509.checkIssued(above.x509)).toBe(true)
          expect(below.x509.verify(above.publicKey)).toBe(true)
        }
    }
    expect(links).toBeGreaterThan(100)
  })

  it('rejects ambiguous encodings that Node accepts', () => {
    const onlyNode = chains
      .filter(({ verdict, leaf }) => verdict === 'malformed_der' && attempt(() => new X509Certificate(leaf)))
      .map(({ name }) => name)
    expect(onlyNode).toEqual(
      expect.arrayContaining([
        'bytes after the certificate',
        'a length that is not in its shortest form',
        'two algorithms, one inside and one outside',
        'a duplicate extension',
        'a key usage that is not a bit string',
        'a URI with a non-ASCII byte',
        'a time that is not a calendar date',
      ]),
    )
  })
})

const SHORT: Readonly<Record<string, string>> = { '2.5.4.3': 'CN', '2.5.4.10': 'O' }

/** Prints a distinguished name as Node does. */
function printName(der: Buffer): string {
  const sets = inside(new DerReader(der).expect(TAG.sequence))
  const lines: string[] = []
  while (!sets.done) {
    const attribute = inside(inside(sets.expect(TAG.set)).expect(TAG.sequence))
    const type = readObjectIdentifier(attribute.expect(TAG.objectIdentifier))
    lines.push(`${SHORT[type] ?? type}=${attribute.next().content.toString()}`)
  }
  return lines.join('\n')
}

const PREFIX = { uri: 'URI', dns: 'DNS', email: 'email', ip: 'IP Address', directory: 'DirName', other: '?' }

function printNames({ names }: Certificate): string | undefined {
  if (names.length === 0) return undefined
  return names
    .map(({ kind, value }) => `${PREFIX[kind]}:${kind === 'ip' ? value.join('.') : value.toString('latin1')}`)
    .join(', ')
}
