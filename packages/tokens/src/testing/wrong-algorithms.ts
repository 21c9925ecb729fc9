import { createHmac } from 'node:crypto'
import { ALGORITHMS, type Algorithm, algorithmNamed } from '../keys/algorithms.ts'
import { thumbprint } from '../keys/keys.ts'
import { type Forge, type Row, refusedAs, shown } from './forge.ts'
import { encodePart, forgeToken } from './forge-token.ts'

/** RFC 8725 §3.1, §3.2. */
export function unsigned(forge: Forge): Row[] {
  const { header, claims, goodParts } = forge
  const none = ['none', 'None', 'NONE', 'nOnE', 'none '].flatMap((alg) => {
    const input = `${encodePart({ ...header, alg })}.${encodePart(claims)}`
    return [
      refusedAs(
        `alg ${alg}, without a signature`,
        `${input}.`,
        'alg_not_allowed',
        'jwt signature is required',
      ),
      refusedAs(
        `alg ${alg}, with a signature`,
        `${input}.${goodParts[2]}`,
        'alg_not_allowed',
        'invalid algorithm',
      ),
    ]
  })
  const odd = [
    undefined,
    null,
    256,
    [header.alg],
    { name: header.alg },
    '',
    String(header.alg).toLowerCase(),
    `${header.alg} `,
  ]
  return [
    ...none,
    ...odd.map((alg) =>
      refusedAs(`alg ${shown(alg)}`, forge.withHeader({ alg }), 'alg_not_allowed', 'invalid algorithm'),
    ),
    refusedAs(
      'the signature left out',
      `${goodParts[0]}.${goodParts[1]}.`,
      'signature_missing',
      'jwt signature is required',
    ),
  ]
}

/** RFC 8725 §2.1: a verifier that lets the token choose HMAC would use its own public key as the shared secret. */
export function signedWithThePublicKey(forge: Forge): Row[] {
  const { publicKey } = forge.key
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const secrets: [string, string | Buffer][] = [
    ['the public key as PEM', pem],
    ['the public key as PEM without its last line break', pem.trim()],
    ['the public key as DER', publicKey.export({ type: 'spki', format: 'der' })],
    ['the public key as JWK', JSON.stringify(publicKey.export({ format: 'jwk' }))],
    ['the thumbprint of the public key', thumbprint(publicKey)],
    ['an empty secret', ''],
    ['the secret "secret"', 'secret'],
    ['the secret "undefined"', 'undefined'],
  ]
  return ['HS256', 'HS384', 'HS512'].flatMap((alg) =>
    secrets.map(([what, secret]) => {
      const input = `${encodePart({ ...forge.header, alg })}.${encodePart(forge.claims)}`
      const mac = createHmac(alg.replace('HS', 'sha'), secret).update(input).digest('base64url')
      return refusedAs(`${alg} with ${what}`, `${input}.${mac}`, 'alg_not_allowed', 'invalid algorithm')
    }),
  )
}

/** RFC 8725 §3.1: a key is used with one algorithm, even if it could be used with others. */
export function ofAnotherAlgorithm(forge: Forge): Row[] {
  const known = [...ALGORITHMS, 'Ed25519'].filter((alg) => algorithmNamed(alg, ALGORITHMS) !== forge.key.alg)
  const unknown = [
    'RS384',
    'RS512',
    'PS384',
    'PS512',
    'ES384',
    'ES512',
    'ES256K',
    'Ed448',
    'RSA1_5',
    'RSA-OAEP',
    'dir',
    'ML-DSA-65',
  ]
  const sister = ({ RS256: 'PS256', PS256: 'RS256' } as Partial<Record<string, Algorithm>>)[forge.key.alg]
  const bySister = sister && { ...forge.header, alg: sister }
  return [
    ...known.map((alg) =>
      refusedAs(
        `alg ${alg} with a key for ${forge.key.alg}`,
        forge.withHeader({ alg }),
        'alg_not_of_key',
        'invalid algorithm',
      ),
    ),
    ...unknown.map((alg) =>
      refusedAs(`alg ${alg}`, forge.withHeader({ alg }), 'alg_not_allowed', 'invalid algorithm'),
    ),
    ...(sister && bySister
      ? [
          refusedAs(
            `signed as ${sister}, with that alg, with a key for ${forge.key.alg}`,
            forgeToken({ header: bySister, claims: forge.claims, key: forge.key, alg: sister }),
            'alg_not_of_key',
            'invalid algorithm',
          ),
          refusedAs(
            `signed as ${sister}, but with alg ${forge.key.alg}`,
            forgeToken({ header: forge.header, claims: forge.claims, key: forge.key, alg: sister }),
            'signature_invalid',
            'invalid signature',
          ),
        ]
      : []),
  ]
}
