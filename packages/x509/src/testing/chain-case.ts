import * as der from '../der/writer.ts'
import { EXTENDED_KEY_USAGE } from '../oids.ts'
import { basicConstraints, extendedKeyUsage, keyUsage, subjectAltName } from '../write/extensions.ts'
import { type Forgery, forge, type Party, party } from './forge.ts'

/** A leaf with its certificates, and the expected verdict. */
export interface ChainCase {
  readonly name: string
  readonly leaf: Buffer
  readonly intermediates: readonly Buffer[]
  readonly anchors: readonly Buffer[]
  /** `accepted`, or the code of the error. */
  readonly verdict:
    | 'accepted'
    | 'malformed_der'
    | 'unknown_authority'
    | 'expired'
    | 'not_yet_valid'
    | 'unknown_critical_extension'
  /** The purpose that Go checks; any purpose if not set. */
  readonly purpose?: 'serverAuth'
  /** Set if Go decides differently: its decision, and the reason for the difference. */
  readonly go?: { readonly accepts: boolean; readonly because: string }
}

export const ROOT = party('root')
export const MIDDLE = party('intermediate')
export const LEAF = party('leaf')

export const caExtensions = [basicConstraints({}), keyUsage('keyCertSign', 'cRLSign')]
export const leafExtensions = [
  basicConstraints(),
  keyUsage('digitalSignature'),
  extendedKeyUsage(EXTENDED_KEY_USAGE.serverAuth, EXTENDED_KEY_USAGE.clientAuth),
  subjectAltName({ uris: ['spiffe://example.org/leaf'], dnsNames: ['leaf.example.org'] }),
]

export const root = (forgery: Forgery = {}, of: Party = ROOT) =>
  forge(of, of, { extensions: caExtensions, ...forgery })
export const intermediate = (forgery: Forgery = {}, of = MIDDLE, by = ROOT) =>
  forge(of, by, { extensions: caExtensions, ...forgery })
export const leaf = (forgery: Forgery = {}, by = MIDDLE, of = LEAF) =>
  forge(of, by, { extensions: leafExtensions, ...forgery })

/** The extensions of a CA and additional ones. */
export const caWith = (...more: readonly Buffer[]): Forgery => ({ extensions: [...caExtensions, ...more] })
/** The extensions of a leaf and additional ones. */
export const leafWith = (...more: readonly Buffer[]): Forgery => ({
  extensions: [...leafExtensions, ...more],
})

/** Makes a case with one intermediate that differs from a valid chain only as given. */
export function overIntermediate(
  name: string,
  verdict: ChainCase['verdict'],
  {
    leaf: ofLeaf = {},
    intermediate: ofIntermediate = {},
    root: ofRoot = {},
  }: Readonly<Record<string, Forgery>>,
  go?: ChainCase['go'],
): ChainCase {
  return {
    name,
    leaf: leaf(ofLeaf),
    intermediates: [intermediate(ofIntermediate)],
    anchors: [root(ofRoot)],
    verdict,
    ...(go ? { go } : {}),
  }
}

/** Encodes an element with any tag and content, for what the writer does not support. */
export const element = (tag: number, content: Uint8Array | string): Buffer => {
  const bytes = Buffer.from(content as string, 'latin1')
  if (bytes.length >= 0x80) throw new Error('too long for a test')
  return Buffer.concat([Buffer.from([tag, bytes.length]), bytes])
}

/** Encodes a critical NameConstraints extension (RFC 5280 §4.2.1.10); each subtree is a `GeneralName`. */
export const nameConstraints = (kind: 'permitted' | 'excluded', ...names: readonly Buffer[]): Buffer =>
  der.sequence(
    der.oid('2.5.29.30'),
    der.booleanTrue(),
    der.octetString(
      der.sequence(
        der.explicit(kind === 'permitted' ? 0 : 1, Buffer.concat(names.map((name) => der.sequence(name)))),
      ),
    ),
  )
