import { type Forge, type Row, refusedAs } from './forge.ts'
import { encodePart } from './forge-token.ts'

/** RFC 7515 §5.2, RFC 7518 §3.3–§3.5. */
export function withABadSignature(forge: Forge): Row[] {
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
      'another claim under the same signature',
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
