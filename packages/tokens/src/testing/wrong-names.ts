import { type Forge, type Row, refusedAs, shown } from './forge.ts'
import { forgeToken } from './forge-token.ts'
import { testKey } from './test-key.ts'

/** RFC 7519 §4.1.3, RFC 8725 §3.9. */
export function forSomebodyElse(forge: Forge): Row[] {
  const { aud } = forge.claims
  const message = `jwt audience invalid. expected: ${aud}`
  const other = [undefined, null, 0, true, {}, { [aud]: true }, 'somebody-else', ...almost(aud)]
  const lists = [
    [aud],
    [aud, aud],
    [aud, 'somebody-else'],
    ['somebody-else', aud],
    ['somebody-else'],
    [],
    [[aud]],
    [null],
  ]
  return [
    ...other.map((value) =>
      refusedAs(`aud ${shown(value)}`, forge.withClaims({ aud: value }), 'audience_mismatch', message),
    ),
    ...lists.map((value) =>
      refusedAs(`aud ${shown(value)}`, forge.withClaims({ aud: value }), 'audience_not_single', message),
    ),
  ]
}

/** RFC 7519 §4.1.1, §4.1.2, RFC 8725 §3.8. */
export function ofSomebodyElse(forge: Forge): Row[] {
  const { iss, sub } = forge.claims
  const strangers = [
    undefined,
    null,
    0,
    true,
    {},
    'somebody-else',
    ...almost(iss),
    [iss],
    [iss, 'somebody-else'],
  ]
  const others = [undefined, null, 0, true, {}, 'somebody-else', ...almost(sub), [sub]]
  const stranger = testKey(forge.key.alg, 'stranger')
  return [
    ...strangers.map((value) =>
      refusedAs(
        `iss ${shown(value)}`,
        forge.withClaims({ iss: value }),
        'issuer_mismatch',
        `jwt issuer invalid. expected: ${iss}`,
      ),
    ),
    ...others.map((value) =>
      refusedAs(
        `sub ${shown(value)}`,
        forge.withClaims({ sub: value }),
        'subject_mismatch',
        `jwt subject invalid. expected: ${sub}`,
      ),
    ),
    refusedAs(
      'signed with another key of the same kid',
      forgeToken({ header: forge.header, claims: forge.claims, key: stranger, alg: forge.key.alg }),
      'signature_invalid',
      'invalid signature',
    ),
    refusedAs(
      'signed with another key of another kid',
      forgeToken({
        header: { ...forge.header, kid: 'another' },
        claims: forge.claims,
        key: stranger,
        alg: forge.key.alg,
      }),
      'key_unknown',
      'invalid signature',
    ),
  ]
}

/** Strings that a loose comparison would treat as equal. */
const almost = (text: string): string[] => [
  '',
  text.slice(0, -1),
  `${text}x`,
  `x${text}`,
  `${text}/`,
  `${text} `,
  ` ${text}`,
  `${text}\0`,
  text.toUpperCase(),
  `${text},${text}`,
]
