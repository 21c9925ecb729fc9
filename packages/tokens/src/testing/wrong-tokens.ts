import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { ALGORITHMS, type Algorithm, algorithmNamed } from '../algorithms.ts'
import { type SigningKey, thumbprint } from '../keys.ts'
import type { TokenErrorReason } from '../token-error.ts'
import { encodePart, forgeToken, type Part } from './forge-token.ts'

/** A token that every verifier must refuse, and how verifyToken refuses it. */
export interface WrongToken {
  /** The row of the attack table, e.g. `AL-10`. */
  readonly attack: string
  readonly name: string
  readonly token: string
  readonly reason: TokenErrorReason
  readonly message: string
}

export interface WrongTokensOptions {
  /** The key that the verifier trusts. */
  readonly key: SigningKey
  /** Claims that the verifier takes: with these alone, and an `exp`, a token is good. */
  readonly claims: { readonly iss: string; readonly aud: string; readonly sub: string }
  /** Seconds since the epoch, by the verifier's clock. */
  readonly now: number
  /** The verifier's longest lifetime. */
  readonly maxLifetimeSeconds: number
}

type Row = Omit<WrongToken, 'attack'>

/**
 * Every way that we know to make a token that must not pass, made for one verifier. All but the ones about signatures
 * are correctly signed with its own key.
 */
export function wrongTokens(options: WrongTokensOptions): WrongToken[] {
  const forge = new Forge(options)
  return [
    ...rows('AL-10', unsigned(forge)),
    ...rows('AL-11', signedWithThePublicKey(forge)),
    ...rows('AL-12', ofAnotherAlgorithm(forge)),
    ...rows('AL-13', livingTooLong(forge)),
    ...rows('AL-14', atTheWrongTime(forge)),
    ...rows('AL-15', withCriticalHeaders(forge)),
    ...rows('AL-16', ofAnotherKind(forge)),
    ...rows('AL-17', forSomebodyElse(forge)),
    ...rows('AL-18', ofSomebodyElse(forge)),
    ...rows('AL-19', bringingTheirKeys(forge)),
    ...rows('AL-22', writtenSloppily(forge)),
    ...rows('AL-22', withABadSignature(forge)),
    ...rows('AL-23', tooMuch(forge)),
  ]
}

const rows = (attack: string, of: readonly Row[]): WrongToken[] => of.map((row) => ({ attack, ...row }))

const MINUTE = 60
const DAY = 86_400
const YEAR = 365 * DAY

class Forge {
  readonly key: SigningKey
  readonly now: number
  readonly maxLifetimeSeconds: number
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>> & WrongTokensOptions['claims']
  readonly good: string
  readonly goodParts: readonly [header: string, payload: string, signature: string]

  constructor({ key, claims, now, maxLifetimeSeconds }: WrongTokensOptions) {
    this.key = key
    this.now = now
    this.maxLifetimeSeconds = maxLifetimeSeconds
    this.header = { alg: key.alg, typ: 'JWT', kid: key.kid }
    this.claims = { ...claims, exp: now + Math.min(MINUTE, maxLifetimeSeconds), iat: now, jti: 'forged' }
    this.good = this.sign(this.header, this.claims)
    this.goodParts = this.good.split('.') as unknown as [string, string, string]
  }

  sign(header: Part, claims: Part): string {
    return forgeToken({ header, claims, key: this.key, alg: this.key.alg })
  }

  withHeader(members: Readonly<Record<string, unknown>>): string {
    return this.sign({ ...this.header, ...members }, this.claims)
  }

  withClaims(members: Readonly<Record<string, unknown>>): string {
    return this.sign(this.header, { ...this.claims, ...members })
  }

  /** Claims given as JSON text, for what JSON.stringify cannot write. */
  withClaimsText(edit: (json: string) => string | Buffer): string {
    return this.sign(this.header, edit(JSON.stringify(this.claims)))
  }
}

/** RFC 8725 §3.1, §3.2. */
function unsigned(forge: Forge): Row[] {
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

/** RFC 8725 §2.1: a verifier that lets the token choose HMAC takes its own public key for the shared secret. */
function signedWithThePublicKey(forge: Forge): Row[] {
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

/** RFC 8725 §3.1: one algorithm per key, whatever else the key could do. */
function ofAnotherAlgorithm(forge: Forge): Row[] {
  const known = [...ALGORITHMS, 'Ed25519'].filter((alg) => algorithmNamed(alg) !== forge.key.alg)
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
  const sister = ({ RS256: 'PS256', PS256: 'RS256' } as Partial<Record<Algorithm, Algorithm>>)[forge.key.alg]
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
            `signed as ${sister}, and saying so, with a key for ${forge.key.alg}`,
            forgeToken({ header: bySister, claims: forge.claims, key: forge.key, alg: sister }),
            'alg_not_of_key',
            'invalid algorithm',
          ),
          refusedAs(
            `signed as ${sister}, but saying ${forge.key.alg}`,
            forgeToken({ header: forge.header, claims: forge.claims, key: forge.key, alg: sister }),
            'signature_invalid',
            'invalid signature',
          ),
        ]
      : []),
  ]
}

/** RFC 9068 §2.2, ASVS 9.2.1. */
function livingTooLong(forge: Forge): Row[] {
  const { now, maxLifetimeSeconds: max } = forge
  const tooLong = (name: string, claims: Readonly<Record<string, unknown>>) =>
    refusedAs(name, forge.withClaims(claims), 'lifetime_too_long', 'jwt lifetime too long')
  return [
    refusedAs('no exp', forge.withClaims({ exp: undefined }), 'expiry_missing', 'jwt exp required'),
    tooLong('a second more than the longest lifetime', { exp: now + max + 1 }),
    tooLong('ten years', { exp: now + 10 * YEAR }),
    tooLong('ten years, without iat', { exp: now + 10 * YEAR, iat: undefined }),
    tooLong('issued last year, ending soon', { iat: now - YEAR }),
    tooLong('issued in 1970', { iat: 0 }),
  ]
}

/** RFC 7519 §4.1.4–§4.1.6, §2 (NumericDate). */
function atTheWrongTime(forge: Forge): Row[] {
  const { now } = forge
  const expired = [now, now - 1, now - 0.5, now - DAY, 1, 0]
  const notDates = [
    '"soon"',
    `"${now + MINUTE}"`,
    '"2099-01-01T00:00:00Z"',
    'true',
    'null',
    '[]',
    `[${now}]`,
    '{}',
    '-1',
    '1e20',
    '1e999',
    `${now * 1000}`,
  ]
  const malformed = [
    ['exp', 'expiry_malformed'],
    ['nbf', 'not_before_malformed'],
    ['iat', 'issued_at_malformed'],
  ] as const
  return [
    ...expired.map((exp) =>
      refusedAs(
        `exp ${now - exp} s ago`,
        forge.withClaims({ exp, iat: undefined }),
        'expired',
        'jwt expired',
      ),
    ),
    ...[1, 0.5, DAY, YEAR].map((ahead) =>
      refusedAs(
        `nbf in ${ahead} s`,
        forge.withClaims({ nbf: now + ahead }),
        'not_active_yet',
        'jwt not active',
      ),
    ),
    ...[1, 0.5, DAY, YEAR].map((ahead) =>
      refusedAs(
        `iat in ${ahead} s`,
        forge.withClaims({ iat: now + ahead }),
        'issued_in_future',
        'jwt issued in the future',
      ),
    ),
    ...malformed.flatMap(([claim, reason]) =>
      notDates.map((value) =>
        refusedAs(
          `${claim} ${value}`,
          forge.sign(forge.header, withMember(forge.claims, claim, value)),
          reason,
          `invalid ${claim} value`,
        ),
      ),
    ),
  ]
}

/** RFC 7515 §4.1.11, RFC 7797 §6. */
function withCriticalHeaders(forge: Forge): Row[] {
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
function ofAnotherKind(forge: Forge): Row[] {
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

/** Texts that a loose comparison takes for another. */
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

/** RFC 7519 §4.1.3, RFC 8725 §3.9. */
function forSomebodyElse(forge: Forge): Row[] {
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
function ofSomebodyElse(forge: Forge): Row[] {
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
  const stranger = { privateKey: otherKey(forge.key.alg) }
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
      'signed with another key of the same name',
      forgeToken({ header: forge.header, claims: forge.claims, key: stranger, alg: forge.key.alg }),
      'signature_invalid',
      'invalid signature',
    ),
    refusedAs(
      'signed with another key of another name',
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

/** RFC 8725 §3.10. */
function bringingTheirKeys(forge: Forge): Row[] {
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
  const privateKey = otherKey(forge.key.alg)
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
        'jwt header must not bring a key',
      ),
    ),
  ]
}

/** RFC 7515 §2, §4, §7.1, RFC 7519 §4, §7.2, RFC 8725 §3.7. */
function writtenSloppily(forge: Forge): Row[] {
  const { header, claims, good, goodParts } = forge
  const [head, payload, signature] = goodParts
  const malformed = (name: string, token: unknown) =>
    refusedAs(name, token as string, 'not_compact', 'jwt malformed')
  const badHeader = (name: string, token: string) =>
    refusedAs(name, token, 'header_malformed', 'invalid token')
  const badClaims = (name: string, token: string) =>
    refusedAs(name, token, 'claims_malformed', 'invalid token')
  const badSignature = (name: string, token: string) =>
    refusedAs(name, token, 'signature_malformed', 'invalid token')
  const headerText = JSON.stringify(header)
  const bytes = (...parts: (string | number[])[]) =>
    Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  const odd: [string, string | Buffer][] = [
    ['empty', ''],
    ['a JSON list', '[]'],
    ['a JSON text', '"text"'],
    ['a JSON number', '1'],
    ['null', 'null'],
    ['not JSON', 'text'],
    ['two JSON objects', '{}{}'],
  ]
  const edits: [string, (json: string) => string | Buffer][] = [
    ['with a byte order mark', (json) => `\uFEFF${json}`],
    ['in UTF-16', (json) => Buffer.from(json, 'utf16le')],
    ['with a byte that is not UTF-8', (json) => bytes('{"x":"', [0xff], '",', json.slice(1))],
    ['with an overlong slash', (json) => bytes('{"x":"', [0xc0, 0xaf], '",', json.slice(1))],
    ['with a surrogate in UTF-8', (json) => bytes('{"x":"', [0xed, 0xa0, 0x80], '",', json.slice(1))],
    ['with a trailing comma', (json) => `${json.slice(0, -1)},}`],
    ['with a comment', (json) => `{/**/${json.slice(1)}`],
    ['with a NUL after it', (json) => `${json}\0`],
    ['with a no-break space before it', (json) => `\u00a0${json}`],
    ['cut off', (json) => json.slice(0, -1)],
    ['with single quotes', (json) => json.replaceAll('"', "'")],
    ['with NaN', (json) => `{"x":NaN,${json.slice(1)}`],
    ['with a member twice', (json) => `{"x":1,"x":1,${json.slice(1)}`],
    ['with an inner member twice', (json) => `{"x":{"y":1,"y":2},${json.slice(1)}`],
    ['with a member twice in a list', (json) => `{"x":[{"y":1,"y":2}],${json.slice(1)}`],
    ['with an escaped member twice', (json) => `{"\\u0078":1,"x":1,${json.slice(1)}`],
    ['with __proto__ twice', (json) => `{"__proto__":1,"__proto__":{},${json.slice(1)}`],
    ['with a line break in a text', (json) => `{"x":"\n",${json.slice(1)}`],
  ]
  return [
    ...['x', 'x.y', '.', 'Bearer', 'null', 'undefined', `${head}.${payload}`].map((text) =>
      malformed(`only ${shown(text)}`, text),
    ),
    malformed('a fourth part', `${good}.${signature}`),
    malformed('a dot after it', `${good}.`),
    malformed('a dot before it', `.${good}`),
    malformed('the flattened JSON serialization', JSON.stringify({ protected: head, payload, signature })),
    malformed(
      'the general JSON serialization',
      JSON.stringify({ payload, signatures: [{ protected: head, signature }] }),
    ),
    badHeader('nothing but dots', '..'),
    badHeader('"Bearer " before it', `Bearer ${good}`),
    badHeader('a space before it', ` ${good}`),
    badHeader('a line break before it', `\n${good}`),
    badHeader('quotes around it', `"${good}"`),
    badHeader('padding of the header', `${head}=.${payload}.${signature}`),
    badHeader('a space in the header', `${head.slice(0, 4)} ${head.slice(4)}.${payload}.${signature}`),
    badHeader(
      'a percent sign in the header',
      `${head.slice(0, 4)}%20${head.slice(4)}.${payload}.${signature}`,
    ),
    badHeader('a letter that only looks like one', `\u0435${good.slice(1)}`),
    badClaims('padding of the payload', `${head}.${payload}=.${signature}`),
    badClaims('a space in the payload', `${head}.${payload.slice(0, 4)} ${payload.slice(4)}.${signature}`),
    badClaims(
      'a line break in the payload',
      `${head}.${payload.slice(0, 76)}\r\n${payload.slice(76)}.${signature}`,
    ),
    badSignature('padding of the signature', `${good}==`),
    badSignature('a space after it', `${good} `),
    badSignature('a line break after it', `${good}\n`),
    badSignature('a NUL after it', `${good}\0`),
    badSignature('a plus in the signature', `${head}.${payload}.+${signature.slice(1)}`),
    badSignature('a slash in the signature', `${head}.${payload}./${signature.slice(1)}`),
    badSignature('something after the token', `${good},${signature}`),
    ...strayBits(head).map((part) =>
      badHeader('stray bits at the end of the header', `${part}.${payload}.${signature}`),
    ),
    ...strayBits(payload).map((part) =>
      badClaims('stray bits at the end of the payload', `${head}.${part}.${signature}`),
    ),
    ...strayBits(signature).map((part) =>
      refusedAs(
        'stray bits at the end of the signature',
        `${head}.${payload}.${part}`,
        'signature_malformed',
        'invalid signature',
      ),
    ),
    ...odd.map(([name, text]) => badHeader(`a header that is ${name}`, forge.sign(text, claims))),
    ...odd.map(([name, text]) => badClaims(`a payload that is ${name}`, forge.sign(header, text))),
    ...edits.map(([name, edit]) => badHeader(`a header ${name}`, forge.sign(edit(headerText), claims))),
    ...edits.map(([name, edit]) => badClaims(`a payload ${name}`, forge.withClaimsText(edit))),
    badHeader('alg twice', forge.sign(`{"alg":"none",${headerText.slice(1)}`, claims)),
    badClaims(
      'sub twice',
      forge.withClaimsText((json) => `{"sub":"admin",${json.slice(1)}`),
    ),
    badClaims(
      'exp twice',
      forge.withClaimsText((json) => `${json.slice(0, -1)},"exp":${forge.now + YEAR}}`),
    ),
  ]
}

/** RFC 7515 §5.2, RFC 7518 §3.3–§3.5. */
function withABadSignature(forge: Forge): Row[] {
  const [head, payload, signature] = forge.goodParts
  const bytes = Buffer.from(signature, 'base64url')
  const flipped = (index: number, bit: number) => {
    const changed = Buffer.from(bytes)
    changed[index] = (changed[index] as number) ^ bit
    return changed
  }
  const wrong: [string, Buffer][] = [
    ['of zeros', Buffer.alloc(bytes.length)],
    ['of ones', Buffer.alloc(bytes.length, 0xff)],
    ['of one byte', bytes.subarray(0, 1)],
    ['cut in half', bytes.subarray(0, bytes.length / 2)],
    ['without its first byte', bytes.subarray(1)],
    ['without its last byte', bytes.subarray(0, -1)],
    ['with a zero before it', Buffer.concat([Buffer.alloc(1), bytes])],
    ['with a zero after it', Buffer.concat([bytes, Buffer.alloc(1)])],
    ['twice', Buffer.concat([bytes, bytes])],
    ['backwards', Buffer.from(bytes).reverse()],
    ['with its first bit changed', flipped(0, 0x80)],
    ['with its last bit changed', flipped(bytes.length - 1, 1)],
    ['with a bit changed in the middle', flipped(bytes.length / 2, 4)],
    ...(forge.key.alg === 'ES256' ? outsideTheCurve(bytes) : []),
  ]
  const invalid = (name: string, token: string) =>
    refusedAs(name, token, 'signature_invalid', 'invalid signature')
  return [
    ...wrong.map(([name, value]) =>
      invalid(`a signature ${name}`, `${head}.${payload}.${value.toString('base64url')}`),
    ),
    invalid(
      'another subject under the same signature',
      `${head}.${encodePart({ ...forge.claims, admin: true })}.${signature}`,
    ),
    invalid(
      'a space in the claims under the same signature',
      `${head}.${encodePart(`${JSON.stringify(forge.claims)} `)}.${signature}`,
    ),
    invalid(
      'another header under the same signature',
      `${encodePart({ ...forge.header, x: 1 })}.${payload}.${signature}`,
    ),
    invalid(
      'the signature of another token',
      `${head}.${payload}.${forge.withClaims({ jti: 'another' }).split('.')[2]}`,
    ),
  ]
}

/** The order of P-256 (SEC 2 §2.4.2). */
const P256_ORDER = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')

/** CVE-2022-21449 and its relatives: R and S must lie between 1 and the order of the curve. */
function outsideTheCurve(good: Buffer): [string, Buffer][] {
  const zero = Buffer.alloc(32)
  const one = Buffer.concat([Buffer.alloc(31), Buffer.from([1])])
  const [r, s] = [good.subarray(0, 32), good.subarray(32)]
  const der = Buffer.concat([Buffer.from([0x30, 0x46, 0x02, 0x21, 0]), r, Buffer.from([0x02, 0x21, 0]), s])
  return [
    ['of R = 0 and S = 1', Buffer.concat([zero, one])],
    ['of R = 1 and S = 0', Buffer.concat([one, zero])],
    ['of R = 1 and S = 1', Buffer.concat([one, one])],
    ['of R = 0 and the right S', Buffer.concat([zero, s])],
    ['of the right R and S = 0', Buffer.concat([r, zero])],
    ['of R = n and S = n', Buffer.concat([P256_ORDER, P256_ORDER])],
    ['of R = n and the right S', Buffer.concat([P256_ORDER, s])],
    ['of the right R and S = n', Buffer.concat([r, P256_ORDER])],
    ['of S and R', Buffer.concat([s, r])],
    ['in DER', der],
  ]
}

/** RFC 8725 §3.6, and the limits of this verifier. */
function tooMuch(forge: Forge): Row[] {
  const [head, payload, signature] = forge.goodParts
  const jwe = (header: object) => `${encodePart(header)}.AAAA.AAAA.AAAA.AAAA`
  const encrypted = (name: string, header: object) =>
    refusedAs(name, jwe(header), 'encrypted_token', 'jwt malformed')
  const tooLarge = (name: string, token: string) => refusedAs(name, token, 'token_too_large', 'jwt too large')
  const nested = (depth: number) => `{"x":${'['.repeat(depth)}${']'.repeat(depth)},`
  return [
    encrypted('an encrypted token', { alg: 'RSA-OAEP', enc: 'A256GCM' }),
    encrypted('an encrypted token with a zip bomb', { alg: 'dir', enc: 'A256GCM', zip: 'DEF' }),
    encrypted('an encrypted token with ten million rounds', {
      alg: 'PBES2-HS256+A128KW',
      enc: 'A128GCM',
      p2c: 10_000_000,
      p2s: 'AAAA',
    }),
    tooLarge('a megabyte', 'a'.repeat(1024 * 1024)),
    tooLarge('a megabyte of dots', '.'.repeat(1024 * 1024)),
    tooLarge('a megabyte of claims', `${head}.${payload.padEnd(1024 * 1024, 'A')}.${signature}`),
    tooLarge(
      'ten thousand brackets',
      forge.withClaimsText((json) => nested(10_000) + json.slice(1)),
    ),
    refusedAs(
      'a header of five kilobytes',
      forge.withHeader({ x: 'x'.repeat(3800) }),
      'header_too_large',
      'invalid token',
    ),
    refusedAs(
      'a thousand brackets',
      forge.withClaimsText((json) => nested(1000) + json.slice(1)),
      'claims_malformed',
      'invalid token',
    ),
    refusedAs(
      'a thousand objects',
      forge.withClaimsText((json) => `{"x":${'{"x":'.repeat(600)}1${'}'.repeat(600)},${json.slice(1)}`),
      'claims_malformed',
      'invalid token',
    ),
    refusedAs(
      'a thousand brackets in the header',
      forge.sign(nested(1000) + JSON.stringify(forge.header).slice(1), forge.claims),
      'header_malformed',
      'invalid token',
    ),
    refusedAs('a token of no characters', '', 'token_missing', 'jwt must be provided'),
  ]
}

const refusedAs = (name: string, token: string, reason: TokenErrorReason, message: string): Row => ({
  name,
  token,
  reason,
  message,
})

const shown = (value: unknown) => (JSON.stringify(value) ?? 'left out').slice(0, 60)

/** The object as JSON, one member given as text. */
const withMember = (object: object, name: string, json: string) =>
  JSON.stringify({ ...object, [name]: '@' }).replace(`"${name}":"@"`, `"${name}":${json}`)

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The same bytes with other bits after them, where the last character has bits to spare. */
function strayBits(part: string): string[] {
  if (part.length % 4 === 0) return []
  const last = ALPHABET.indexOf(part.slice(-1))
  return [`${part.slice(0, -1)}${ALPHABET[last + 1]}`]
}

/** Made once for each type: an RSA key takes its time. */
const otherKeys = new Map<string, KeyObject>()

function otherKey(alg: Algorithm): KeyObject {
  const type = alg === 'PS256' ? 'RS256' : alg
  let key = otherKeys.get(type)
  if (!key) {
    key = makeKey(type)
    otherKeys.set(type, key)
  }
  return key
}

function makeKey(type: Algorithm): KeyObject {
  if (type === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  if (type === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}
