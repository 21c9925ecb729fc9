import { type Forge, type Row, refusedAs, shown } from './forge.ts'
import { forgeToken } from './forge-token.ts'
import { testKey } from './test-key.ts'

/** RFC 7515 §4.1.11, RFC 7797 §6. */
export function withCriticalHeaders(forge: Forge): Row[] {
  const critical = [
    ['x-unknown'],
    ['x-unknown', 'x-unknown'],
    [],
    'x-unknown',
    ['exp'],
    ['alg'],
    [null],
    ['b64'],
    {},
    null,
    true,
  ]
  return [
    ...critical.map((crit) =>
      refusedAs(
        `crit ${shown(crit)}`,
        forge.withHeader({ crit, 'x-unknown': true }),
        'critical_header',
        'jwt header has unknown critical parameters',
      ),
    ),
    ...[false, 'false', 0, null].map((b64) =>
      refusedAs(
        `b64 ${shown(b64)}`,
        forge.withHeader({ b64 }),
        'unencoded_payload',
        'jwt payload must be encoded',
      ),
    ),
  ]
}

/** RFC 8725 §3.11, §3.12: tokens made for something else, with the same key. */
export function ofAnotherKind(forge: Forge): Row[] {
  const types = [
    'logout+jwt',
    'wit+jwt',
    'wpt+jwt',
    'txntoken+jwt',
    'dpop+jwt',
    'secevent+jwt',
    'token-introspection+jwt',
    'client-authentication+jwt',
    'oauth-authz-req+jwt',
    'kb+jwt',
    'JWE',
    'JOSE',
    'application/logout+jwt',
    'application/application/jwt',
    'text/jwt',
    '',
    ' JWT',
    'JWT ',
    null,
    5,
    true,
    ['JWT'],
    {},
  ]
  return types.map((typ) =>
    refusedAs(
      `typ ${shown(typ)}`,
      forge.withHeader({ typ }),
      'typ_not_allowed',
      'jwt type invalid. expected: JWT or at+jwt',
    ),
  )
}

/** RFC 8725 §3.10. */
export function bringingTheirKeys(forge: Forge): Row[] {
  const names = [
    '',
    '../../../../dev/null',
    "' OR '1'='1",
    '__proto__',
    'constructor',
    'toString',
    `${forge.key.kid} `,
    forge.key.kid.toUpperCase(),
    `${forge.key.kid}\0`,
  ]
  const malformed = [
    null,
    0,
    true,
    [forge.key.kid],
    { kid: forge.key.kid },
    'k'.repeat(257),
    'k'.repeat(2500),
  ]
  const { privateKey } = testKey(forge.key.alg, 'stranger')
  const jwk = {
    ...privateKey.export({ format: 'jwk' }),
    d: undefined,
    p: undefined,
    q: undefined,
    dp: undefined,
    dq: undefined,
    qi: undefined,
  }
  const sources: [string, unknown][] = [
    ['jku', 'https://attacker.example/jwks.json'],
    ['jku', 'http://169.254.169.254/latest/meta-data'],
    ['x5u', 'https://attacker.example/certificate.pem'],
    ['jwk', jwk],
    ['jwk', null],
    ['x5c', ['MIIB']],
  ]
  return [
    ...names.map((kid) =>
      refusedAs(`kid ${shown(kid)}`, forge.withHeader({ kid }), 'key_unknown', 'invalid signature'),
    ),
    ...malformed.map((kid) =>
      refusedAs(`kid ${shown(kid)}`, forge.withHeader({ kid }), 'kid_malformed', 'invalid token'),
    ),
    ...sources.map(([name, value]) =>
      refusedAs(
        `${name} ${shown(value)}`,
        forgeToken({
          header: { ...forge.header, [name]: value },
          claims: forge.claims,
          key: { privateKey },
          alg: forge.key.alg,
        }),
        'embedded_key',
        'jwt header must not contain a key',
      ),
    ),
  ]
}
