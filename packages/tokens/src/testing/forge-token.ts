import { sign } from 'node:crypto'
import { type Algorithm, SCHEMES } from '../keys/algorithms.ts'
import type { SigningKey } from '../keys/keys.ts'

/** A part of a token: an object becomes its JSON, text and bytes stay as they are. */
export type Part = object | string | Buffer

export interface Forgery {
  readonly header: Part
  readonly claims: Part
  /** The key that signs; its algorithm may differ from the one that the header names. */
  readonly key: Pick<SigningKey, 'privateKey'>
  readonly alg: Algorithm
}

/** A compact JWS of any parts, correctly signed: so that a refusal is for what the parts say. */
export function forgeToken({ header, claims, key, alg }: Forgery): string {
  const input = `${encodePart(header)}.${encodePart(claims)}`
  const { digest, options } = SCHEMES[alg]
  const signature = sign(digest, Buffer.from(input), { key: key.privateKey, ...options })
  return `${input}.${signature.toString('base64url')}`
}

/** Base64url of a part. */
export function encodePart(part: Part): string {
  if (Buffer.isBuffer(part)) return part.toString('base64url')
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}
