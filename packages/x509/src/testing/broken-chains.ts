import { basicConstraints, extension, keyUsage, subjectAltName } from '../write/extensions.ts'
import {
  type ChainCase,
  caExtensions,
  caWith,
  intermediate,
  LEAF,
  leaf,
  leafWith,
  MIDDLE,
  overIntermediate,
  ROOT,
  root,
} from './chain-case.ts'
import { forge, HOUR, NOW, party } from './forge.ts'

const UNKNOWN_CRITICAL = extension('1.2.3.4', true, Buffer.from('0500', 'hex'))
const flipped = (signature: Buffer) => {
  const copy = Buffer.from(signature)
  copy[copy.length - 1] = (copy.at(-1) as number) ^ 1
  return copy
}
/** Makes well-formed chains without a valid path to an anchor. */
export function brokenChains(): ChainCase[] {
  const second = party('second intermediate')
  const refused = { verdict: 'unknown_authority' } as const
  return [
    overIntermediate('the leaf has expired', 'expired', { leaf: { notAfter: NOW - 1000 } }),
    overIntermediate('the leaf is not yet valid', 'not_yet_valid', { leaf: { notBefore: NOW + 1000 } }),
    overIntermediate('the intermediate has expired', 'unknown_authority', {
      intermediate: { notAfter: NOW - HOUR },
    }),
    overIntermediate('the anchor has expired', 'unknown_authority', { root: { notAfter: NOW - HOUR } }),
    { name: 'no anchor', leaf: leaf(), intermediates: [intermediate()], anchors: [], ...refused },
    { name: 'the intermediate is missing', leaf: leaf(), intermediates: [], anchors: [root()], ...refused },
    {
      name: 'the anchor has another name',
      leaf: leaf({}, ROOT),
      intermediates: [],
      anchors: [root({}, party('other'))],
      ...refused,
    },
    {
      name: 'the anchor has the name and another key',
      leaf: leaf({}, ROOT),
      intermediates: [],
      anchors: [root({}, { ...party('impostor'), name: ROOT.name })],
      ...refused,
    },
    overIntermediate('the issuer has another name', 'unknown_authority', {
      leaf: { issuerName: party('other').name },
    }),
    overIntermediate('the signature is changed', 'unknown_authority', { leaf: { signature: flipped } }),
    overIntermediate('the signature of the intermediate is changed', 'unknown_authority', {
      intermediate: { signature: flipped },
    }),
    overIntermediate('the intermediate is not a CA', 'unknown_authority', {
      intermediate: { extensions: [basicConstraints(), keyUsage('keyCertSign')] },
    }),
    overIntermediate('the intermediate has no basic constraints', 'unknown_authority', {
      intermediate: { extensions: [keyUsage('keyCertSign')] },
    }),
    overIntermediate('the intermediate is of version 1', 'unknown_authority', {
      intermediate: { version: Buffer.of(), extensions: undefined },
    }),
    overIntermediate('the intermediate is not allowed to sign certificates', 'unknown_authority', {
      intermediate: { extensions: [basicConstraints({}), keyUsage('cRLSign', 'digitalSignature')] },
    }),
    {
      name: 'a leaf signs another leaf',
      leaf: forge(party('forged'), LEAF, leafWith()),
      intermediates: [leaf(), intermediate()],
      anchors: [root()],
      ...refused,
    },
    {
      name: 'the path is longer than the anchor allows',
      leaf: leaf(),
      intermediates: [intermediate()],
      anchors: [root({ extensions: [basicConstraints({ pathLength: 0 }), keyUsage('keyCertSign')] })],
      ...refused,
    },
    {
      name: 'the path is longer than an intermediate allows',
      leaf: leaf({}, second),
      intermediates: [
        intermediate({ extensions: [basicConstraints({ pathLength: 0 }), keyUsage('keyCertSign')] }),
        intermediate({}, second, MIDDLE),
      ],
      anchors: [root()],
      ...refused,
    },
    overIntermediate('the leaf has an unknown critical extension', 'unknown_critical_extension', {
      leaf: leafWith(UNKNOWN_CRITICAL),
    }),
    overIntermediate('the intermediate has an unknown critical extension', 'unknown_authority', {
      intermediate: caWith(UNKNOWN_CRITICAL),
    }),
    overIntermediate('a self-issued leaf next to the anchor', 'unknown_authority', {
      leaf: { issuerName: LEAF.name },
    }),
    {
      name: 'the leaf is an anchor but not a CA',
      leaf: forge(LEAF, LEAF, { extensions: [subjectAltName({ dnsNames: ['leaf.example.org'] })] }),
      intermediates: [],
      anchors: [forge(LEAF, LEAF, { extensions: [subjectAltName({ dnsNames: ['leaf.example.org'] })] })],
      ...refused,
    },
    {
      name: 'two intermediates that sign each other',
      leaf: leaf(),
      intermediates: [
        intermediate({}, MIDDLE, second),
        intermediate({ extensions: caExtensions }, second, MIDDLE),
      ],
      anchors: [root()],
      ...refused,
    },
  ]
}
