import * as der from '../der/writer.ts'
import { EXTENDED_KEY_USAGE } from '../oids.ts'
import { extendedKeyUsage, extension, keyUsage } from '../write/extensions.ts'
import { type ChainCase, caWith, element, nameConstraints, overIntermediate } from './chain-case.ts'
import { party } from './forge.ts'

const named = (...names: readonly Buffer[]) => ({
  extensions: [keyUsage('digitalSignature'), extension('2.5.29.17', false, der.sequence(...names))],
})
const directory = element(0xa4, party('elsewhere').name)

/** Makes chains whose authorities have name constraints. */
export const constrainedChains = (): ChainCase[] => [
  overIntermediate('a DNS name is not permitted', 'unknown_authority', {
    intermediate: caWith(nameConstraints('permitted', element(0x82, 'example.com'))),
  }),
  overIntermediate('a DNS name is excluded', 'unknown_authority', {
    intermediate: caWith(nameConstraints('excluded', element(0x82, 'example.org'))),
  }),
  overIntermediate('a URI is not permitted', 'unknown_authority', {
    intermediate: caWith(nameConstraints('permitted', element(0x86, '.example.org'))),
  }),
  overIntermediate('a URI is excluded', 'unknown_authority', {
    intermediate: caWith(nameConstraints('excluded', element(0x86, 'example.org'))),
  }),
  overIntermediate('the anchor does not permit a URI', 'unknown_authority', {
    root: caWith(nameConstraints('permitted', element(0x86, 'example.com'))),
  }),
  overIntermediate('an address is not permitted', 'unknown_authority', {
    intermediate: caWith(
      nameConstraints('permitted', element(0x87, Buffer.from([10, 0, 0, 0, 255, 0, 0, 0]))),
    ),
    leaf: named(element(0x87, Buffer.from([192, 168, 0, 1]))),
  }),
  overIntermediate(
    'an address is permitted',
    'unknown_authority',
    {
      intermediate: caWith(
        nameConstraints('permitted', element(0x87, Buffer.from([10, 0, 0, 0, 255, 0, 0, 0]))),
      ),
      leaf: named(element(0x87, Buffer.from([10, 1, 1, 1]))),
    },
    {
      accepts: true,
      because:
        'constraints on addresses are not evaluated here, so a constrained address is rejected (RFC 5280 §4.2.1.10)',
    },
  ),
  overIntermediate(
    'an email address is permitted',
    'unknown_authority',
    {
      intermediate: caWith(nameConstraints('permitted', element(0x81, 'example.org'))),
      leaf: named(element(0x81, 'a@example.org')),
    },
    { accepts: true, because: 'constraints on email addresses are not evaluated either' },
  ),
  overIntermediate('only other subjects are permitted', 'unknown_authority', {
    intermediate: caWith(nameConstraints('permitted', directory)),
  }),
]

/** Makes chains for a purpose that not all of their certificates have. */
export const purposeChains = (): ChainCase[] =>
  [
    overIntermediate(
      'the leaf is not for TLS servers',
      'accepted',
      {
        leaf: { extensions: [keyUsage('digitalSignature'), extendedKeyUsage(EXTENDED_KEY_USAGE.clientAuth)] },
      },
      {
        accepts: false,
        because:
          'Go checks for a server certificate; here the profile (X509-SVID §4.4) checks the purposes of a leaf',
      },
    ),
    overIntermediate(
      'the intermediate is not for TLS servers',
      'accepted',
      { intermediate: caWith(extendedKeyUsage(EXTENDED_KEY_USAGE.clientAuth)) },
      {
        accepts: false,
        because:
          'in RFC 5280 §4.2.1.12, the purposes of a CA do not restrict the certificates below it; in Go and browsers they do',
      },
    ),
  ].map((chain) => ({ ...chain, purpose: 'serverAuth' }))
