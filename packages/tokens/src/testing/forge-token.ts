import { sign } from 'node:crypto'
import { type Algorithm, SCHEMES } from '../keys/algorithms.ts'
import type { SigningKey } from '../keys/keys.ts'

/** A part of a token: an object becomes JSON, strings and bytes stay unchanged. */
export type Part = object | string | Buffer

export interface Forgery {
  readonly header: Part
  readonly claims: Part
  /** The signing key; its algorithm can differ from the one that the header names. */
  readonly key: Pick<SigningKey, 'privateKey'>
  readonly alg: Algorithm
}

/** Makes a correctly signed compact JWS of any parts, so that it is rejected for its contents. */
export function forgeToken({ header, claims, key, alg }: Forgery): string {
  const input = `${encodePart(header)}.${encodePart(claims)}`
  const { digest, options } = SCHEMES[alg]
  const signature = sign(digest, Buffer.from(input), { key: key.privateKey, ...options })
  return `${input}.${signature.toString('base64url')}`
}

/** Encodes a part as base64url. */
export function encodePart(part: Part): string {
  if (Buffer.isBuffer(part)) return part.toString('base64url')
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}
