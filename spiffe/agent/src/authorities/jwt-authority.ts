import {
  exportPrivatePem,
  generateSigningKey,
  importSigningKey,
  publicJwk,
  type SigningKey,
  signToken,
} from '@hallpass/tokens'
import type { Authority } from './authority-cycle.ts'

/** The supported algorithms of JWT-SVIDs (§2.2). The standard does not allow EdDSA. */
export const JWT_ALGORITHMS = ['ES256', 'RS256', 'PS256'] as const
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number]

/** A key that signs JWT-SVIDs; its `id` is the `kid`. */
export interface JwtAuthority extends Authority {
  readonly key: SigningKey
}

export interface JwtSvidRequest {
  readonly spiffeId: string
  readonly audience: readonly string[]
  /** `iss`, which OpenID verifiers require and SPIFFE does not. */
  readonly issuer: string
  readonly lifetimeMs: number
  readonly now: number
}

export async function makeJwtAuthority(
  algorithm: JwtAlgorithm,
  lifetimeMs: number,
  now: number,
): Promise<JwtAuthority> {
  const key = await generateSigningKey(algorithm)
  return { id: key.kid, key, notBefore: now, notAfter: now + lifetimeMs }
}

/** Signs a JWT-SVID (§3): `sub` is the SPIFFE ID, `aud` always a list, and `jti` makes each token unique. */
export function issueJwtSvid(
  authority: JwtAuthority,
  { spiffeId, audience, issuer, lifetimeMs, now }: JwtSvidRequest,
): Promise<string> {
  const expires = Math.min(now + lifetimeMs, authority.notAfter)
  return signToken({ iss: issuer, sub: spiffeId, aud: [...audience] }, authority.key, {
    lifetimeSeconds: Math.floor(expires / 1000) - Math.floor(now / 1000),
    clock: () => now,
  })
}

/** Returns the public key for the Workload API: without `use`, because some verifiers accept only `sig` there. */
export function workloadApiJwk({ key }: JwtAuthority): Record<string, unknown> {
  const { use: _use, ...jwk } = publicJwk(key)
  return jwk
}

/** An authority with its private key, as stored in the state file. */
export interface StoredJwtAuthority {
  readonly id: string
  readonly algorithm: JwtAlgorithm
  readonly privateKey: string
  readonly notBefore: number
  readonly notAfter: number
}

export const storeJwtAuthority = ({ id, key, notBefore, notAfter }: JwtAuthority): StoredJwtAuthority => ({
  id,
  algorithm: key.alg as JwtAlgorithm,
  privateKey: exportPrivatePem(key),
  notBefore,
  notAfter,
})

/** @throws {KeyError} if the PEM is not a key for the algorithm. */
export const restoreJwtAuthority = (stored: StoredJwtAuthority): JwtAuthority => ({
  id: stored.id,
  key: importSigningKey(stored.privateKey, { alg: stored.algorithm, kid: stored.id }),
  notBefore: stored.notBefore,
  notAfter: stored.notAfter,
})
