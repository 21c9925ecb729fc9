import { basicConstraints, keyUsage } from '../write/extensions.ts'
import {
  type ChainCase,
  caExtensions,
  caWith,
  element,
  intermediate,
  LEAF,
  leaf,
  leafWith,
  MIDDLE,
  nameConstraints,
  overIntermediate,
  ROOT,
  root,
} from './chain-case.ts'
import { forge, HOUR, NOW, party } from './forge.ts'

/** Makes chains with a valid path to an anchor. */
export function goodChains(): ChainCase[] {
  const second = party('second intermediate')
  const otherRoot = party('other root')
  const accepted = { verdict: 'accepted' } as const
  return [
    {
      name: 'directly below the anchor',
      leaf: leaf({}, ROOT),
      intermediates: [],
      anchors: [root()],
      ...accepted,
    },
    overIntermediate('over an intermediate', 'accepted', {}),
    {
      name: 'over two intermediates, in reverse order and among others',
      leaf: leaf({}, second),
      intermediates: [intermediate(), root({}, otherRoot), leaf(), intermediate({}, second, MIDDLE)],
      anchors: [root({}, otherRoot), root()],
      ...accepted,
    },
    {
      name: 'to an anchor that is an intermediate',
      leaf: leaf(),
      intermediates: [],
      anchors: [intermediate()],
      ...accepted,
    },
    {
      name: 'over the cross-signed one of two intermediates with the same name',
      leaf: leaf(),
      intermediates: [intermediate({}, MIDDLE, party('unknown root')), intermediate()],
      anchors: [root()],
      ...accepted,
    },
    {
      name: 'with the anchor also among the intermediates',
      leaf: leaf(),
      intermediates: [intermediate(), root()],
      anchors: [root()],
      ...accepted,
    },
    {
      name: 'over a self-issued intermediate, which does not count for the path length',
      leaf: leaf({}, second),
      intermediates: [
        intermediate({ subject: ROOT.name }, MIDDLE),
        forge(second, MIDDLE, { issuerName: ROOT.name, extensions: caExtensions }),
      ],
      anchors: [root({ extensions: [basicConstraints({ pathLength: 1 }), keyUsage('keyCertSign')] })],
      verdict: 'accepted',
      go: {
        accepts: false,
        because: 'Go counts self-issued certificates; RFC 5280 §4.2.1.9 does not',
      },
    },
    overIntermediate('in its first second', 'accepted', { leaf: { notBefore: NOW } }),
    overIntermediate('in its last second', 'accepted', { leaf: { notAfter: NOW } }),
    overIntermediate('valid beyond 2049', 'accepted', { leaf: { notAfter: NOW + 30 * 365 * 24 * HOUR } }),
    overIntermediate('path length 0 above a leaf', 'accepted', {
      intermediate: { extensions: [basicConstraints({ pathLength: 0 }), keyUsage('keyCertSign')] },
    }),
    overIntermediate('a CA without key usage', 'accepted', {
      intermediate: { extensions: [basicConstraints({})] },
    }),
    overIntermediate('an unknown extension that is not critical', 'accepted', {
      leaf: leafWith(
        element(0x30, Buffer.concat([element(0x06, Buffer.from([0x2a, 3, 4])), element(0x04, 'x')])),
      ),
    }),
    overIntermediate('a leaf without any extension', 'accepted', { leaf: { extensions: undefined } }),
    overIntermediate('an empty subject', 'accepted', { leaf: { subject: Buffer.from('3000', 'hex') } }),
    overIntermediate('permitted DNS and URI names', 'accepted', {
      intermediate: caWith(
        nameConstraints('permitted', element(0x82, 'example.org'), element(0x86, 'example.org')),
      ),
    }),
    overIntermediate('excluded names that the leaf does not have', 'accepted', {
      intermediate: caWith(
        nameConstraints('excluded', element(0x82, 'other.org'), element(0x86, 'other.org')),
      ),
    }),
    overIntermediate('permitted addresses, of which the leaf has none', 'accepted', {
      intermediate: caWith(
        nameConstraints('permitted', element(0x87, Buffer.from([10, 0, 0, 0, 255, 0, 0, 0]))),
      ),
    }),
    {
      name: 'a leaf with another type of key',
      leaf: leaf({}, MIDDLE, party('leaf', 'Ed25519')),
      intermediates: [intermediate()],
      anchors: [root()],
      ...accepted,
    },
    {
      name: 'two anchors with the same name',
      leaf: leaf({}, ROOT, LEAF),
      intermediates: [],
      anchors: [root({}, { ...party('impostor'), name: ROOT.name }), root()],
      ...accepted,
    },
  ]
}
