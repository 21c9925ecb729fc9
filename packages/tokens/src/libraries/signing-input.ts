import type { Claims } from '../compact/index.ts'
import type { VerificationKey } from '../keys/index.ts'

const headers = new WeakMap<VerificationKey, Map<string, string>>()

/** Returns what a signature covers: the encoded header `{ alg, typ, kid }` and claims, joined by a dot (RFC 7515 §5.1). */
export function signingInputOf(claims: Claims, key: VerificationKey, typ: string): string {
  return `${encodedHeader(key, typ)}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
}

/** Encodes a header once per key and typ, because it is the same for all their tokens. */
function encodedHeader(key: VerificationKey, typ: string): string {
  let ofKey = headers.get(key)
  if (!ofKey) {
    ofKey = new Map()
    headers.set(key, ofKey)
  }
  let header = ofKey.get(typ)
  if (header === undefined) {
    header = Buffer.from(JSON.stringify({ alg: key.alg, typ, kid: key.kid })).toString('base64url')
    ofKey.set(typ, header)
  }
  return header
}
