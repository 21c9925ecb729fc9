import { type ChainCase, intermediate, leaf, root } from './chain-case.ts'
import { type Algorithm, type KeyKind, party } from './forge.ts'

/** Makes a chain of three certificates with the same type of key and signature algorithm. */
const signedWith = (
  kind: KeyKind,
  algorithm: Algorithm,
  verdict: ChainCase['verdict'] = 'accepted',
  go?: ChainCase['go'],
): ChainCase => {
  const [top, middle, end] = [party('root', kind), party('intermediate', kind), party('leaf', kind)]
  return {
    name: `${kind} keys, ${algorithm}`,
    leaf: leaf({ algorithm }, middle, end),
    intermediates: [intermediate({ algorithm }, middle, top)],
    anchors: [root({ algorithm }, top)],
    verdict,
    ...(go ? { go } : {}),
  }
}

/** Makes a chain for every signature algorithm, including weak and unknown ones. */
export const signatureChains = (): ChainCase[] => [
  signedWith('P-256', 'ECDSA-SHA256'),
  signedWith('P-384', 'ECDSA-SHA384'),
  signedWith('P-521', 'ECDSA-SHA512'),
  signedWith('P-256', 'ECDSA-SHA512'),
  signedWith('RSA', 'RSA-SHA256'),
  signedWith('RSA', 'RSA-SHA384'),
  signedWith('RSA', 'RSA-SHA512'),
  signedWith('RSA', 'PSS-SHA256'),
  signedWith('RSA', 'PSS-SHA384'),
  signedWith('RSA', 'PSS-SHA512'),
  signedWith('Ed25519', 'Ed25519'),
  signedWith('P-256', 'ECDSA-SHA1', 'unknown_authority'),
  signedWith('RSA', 'RSA-SHA1', 'unknown_authority'),
  signedWith('RSA', 'RSA-MD5', 'unknown_authority'),
  signedWith('RSA', 'PSS-SHA1', 'unknown_authority'),
  signedWith('Ed448', 'Ed448', 'unknown_authority'),
  signedWith('P-256', 'unknown', 'unknown_authority'),
  signedWith('secp256k1', 'ECDSA-SHA256', 'accepted', {
    accepts: false,
    because: 'Go has no secp256k1; OpenSSL has, and the curve is no weaker than P-256',
  }),
]
