import { type Forge, type Row, refusedAs, shown, YEAR } from './forge.ts'
import { encodePart } from './forge-token.ts'

/** RFC 7515 §2, §4, §7.1, RFC 7519 §4, §7.2, RFC 8725 §3.7. */
export function writtenSloppily(forge: Forge): Row[] {
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
    ['a JSON string', '"text"'],
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
    ['truncated', (json) => json.slice(0, -1)],
    ['with single quotes', (json) => json.replaceAll('"', "'")],
    ['with NaN', (json) => `{"x":NaN,${json.slice(1)}`],
    ['with a duplicate member', (json) => `{"x":1,"x":1,${json.slice(1)}`],
    ['with a duplicate nested member', (json) => `{"x":{"y":1,"y":2},${json.slice(1)}`],
    ['with a duplicate member in a list', (json) => `{"x":[{"y":1,"y":2}],${json.slice(1)}`],
    ['with an escaped duplicate member', (json) => `{"\\u0078":1,"x":1,${json.slice(1)}`],
    ['with an id that a double cannot hold', (json) => `{"x":9007199254740993,${json.slice(1)}`],
    ['with a number that is Infinity to JavaScript', (json) => `{"x":{"y":[1e400]},${json.slice(1)}`],
    ['with a number that is zero to JavaScript', (json) => `{"x":1e-400,${json.slice(1)}`],
    ['with __proto__ twice', (json) => `{"__proto__":1,"__proto__":{},${json.slice(1)}`],
    ['with a line break in a string', (json) => `{"x":"\n",${json.slice(1)}`],
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
    badHeader('only dots', '..'),
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
    badHeader('a letter that only looks like a base64url character', `\u0435${good.slice(1)}`),
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

/** RFC 8725 §3.6, and the limits of this verifier. */
export function tooMuch(forge: Forge): Row[] {
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
    refusedAs('an empty token', '', 'token_missing', 'jwt must be provided'),
  ]
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Encodes the same bytes with different unused bits in the last character, if it has any. */
function strayBits(part: string): string[] {
  if (part.length % 4 === 0) return []
  const last = ALPHABET.indexOf(part.slice(-1))
  return [`${part.slice(0, -1)}${ALPHABET[last + 1]}`]
}
