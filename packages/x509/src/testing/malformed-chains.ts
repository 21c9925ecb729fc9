import * as der from '../der/writer.ts'
import { basicConstraints, extension, keyUsage } from '../write/extensions.ts'
import { type ChainCase, element, leafExtensions, leafWith, overIntermediate } from './chain-case.ts'
import { type Forgery, NOW } from './forge.ts'

const time = (tag: number, text: string) => element(tag, text)
const until = (notAfter: Buffer): Forgery => ({ validity: der.sequence(der.time(NOW - 1000), notAfter) })
const END = '270101000000Z'
const OLD_TIME = 'RFC 5280 §4.1.2.5.1 requires seconds and Z; Go accepts every form of UTCTime'

/** Makes a chain with a leaf that is not DER, or violates a rule on its contents. */
const malformed = (name: string, leaf: Forgery, go?: ChainCase['go']): ChainCase =>
  overIntermediate(name, 'malformed_der', { leaf }, go)
/** Makes a chain with a leaf that violates a rule without being ambiguous. */
const tolerated = (name: string, leaf: Forgery, go?: ChainCase['go']): ChainCase =>
  overIntermediate(name, 'accepted', { leaf }, go)

export const malformedChains = (): ChainCase[] => [
  malformed('bytes after the certificate', { whole: (bytes) => Buffer.concat([bytes, Buffer.of(0)]) }),
  malformed('the last byte is missing', { whole: (bytes) => bytes.subarray(0, -1) }),
  malformed('an indefinite length', {
    whole: (bytes) => Buffer.concat([Buffer.of(0x30, 0x80), bytes.subarray(4), Buffer.of(0, 0)]),
  }),
  malformed('a length that is not in its shortest form', {
    whole: (bytes) => Buffer.concat([Buffer.of(0x30, 0x83, 0), bytes.subarray(2)]),
  }),
  malformed('two algorithms, one inside and one outside', { innerAlgorithm: 'ECDSA-SHA512' }),
  malformed('a duplicate extension', leafWith(keyUsage('digitalSignature'))),
  malformed('a boolean that is 1', {
    extensions: [
      element(
        0x30,
        Buffer.concat([
          element(0x06, Buffer.from([0x55, 0x1d, 0x13])),
          element(0x01, '\x01'),
          element(0x04, Buffer.from('3000', 'hex')),
        ]),
      ),
    ],
  }),
  malformed(
    'basic constraints with trailing bytes',
    {
      extensions: [extension('2.5.29.19', true, Buffer.from('300000', 'hex'))],
    },
    { accepts: true, because: 'Go ignores trailing bytes' },
  ),
  malformed('a key usage that is not a bit string', {
    extensions: [extension('2.5.29.15', true, Buffer.from('020100', 'hex'))],
  }),
  malformed(
    'a subject alternative name without names',
    { extensions: [extension('2.5.29.17', false, der.sequence())] },
    {
      accepts: true,
      because: 'RFC 5280 §4.2.1.6 requires a name; Go does not',
    },
  ),
  malformed('a DNS name with a non-ASCII byte', {
    extensions: [extension('2.5.29.17', true, der.sequence(element(0x82, 'b\xfccher.example.org')))],
  }),
  malformed('a URI with a non-ASCII byte', {
    extensions: [extension('2.5.29.17', true, der.sequence(element(0x86, 'spiffe://example.org/\xfc')))],
  }),
  malformed('a UTC time without seconds', until(time(0x17, '2701010000Z')), {
    accepts: true,
    because: OLD_TIME,
  }),
  malformed('a UTC time with an offset', until(time(0x17, '270101000000+0100')), {
    accepts: true,
    because: OLD_TIME,
  }),
  malformed('a time that is not a calendar date', until(time(0x17, '270230000000Z'))),
  malformed('a generalized time with a fraction', until(time(0x18, '20270101000000.5Z'))),
  malformed('a time that is a string', until(time(0x0c, END))),
  malformed('no validity', { validity: der.sequence() }),
  malformed('a negative path length', {
    extensions: [extension('2.5.29.19', true, der.sequence(der.booleanTrue(), element(0x02, '\xff')))],
  }),
  malformed('a truncated object identifier', {
    extensions: [element(0x30, Buffer.concat([element(0x06, '\x55\x9d'), element(0x04, 'x')]))],
  }),
  malformed(
    'extensions in version 1',
    { version: Buffer.of() },
    { accepts: true, because: 'Go reads the certificate and ignores its extensions' },
  ),
  tolerated('a generalized time before 2050', until(time(0x18, `20${END}`))),
  tolerated(
    'a negative serial number',
    { serial: element(0x02, '\xff') },
    {
      accepts: false,
      because: 'this package does not read the serial number',
    },
  ),
  tolerated('unique identifiers', { uniqueIds: [element(0x81, '\x00\x01'), element(0x82, '\x00\x01')] }),
  tolerated('critical FALSE encoded explicitly', {
    extensions: [
      ...leafExtensions,
      element(
        0x30,
        Buffer.concat([element(0x06, Buffer.from([0x2a, 3, 4])), element(0x01, '\x00'), element(0x04, 'x')]),
      ),
    ],
  }),
  tolerated('a path length without CA', {
    extensions: [extension('2.5.29.19', true, der.sequence(element(0x02, '\x00')))],
  }),
  tolerated('a key usage with trailing zero bits', {
    extensions: [basicConstraints(), extension('2.5.29.15', true, element(0x03, '\x00\x80'))],
  }),
  tolerated('an empty list of extensions', { extensions: [] }),
]
