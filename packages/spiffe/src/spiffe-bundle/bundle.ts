import { JsonError, JsonNumber, readJson, toNumber, writeJson } from '@hallpass/untrusted/json'
import { type Certificate, parseCertificate } from '@hallpass/x509'
import {
  type Jwk,
  JwtBundle,
  type JwtBundleSource,
  keysOf,
  readAuthority,
  toJwk,
} from '../jwt-bundle/index.ts'
import { parseTrustDomain, type TrustDomain, type TrustDomainLike } from '../spiffe-id/index.ts'
import { X509Bundle, type X509BundleSource } from '../x509-bundle/index.ts'
import { SpiffeBundleError } from './errors.ts'

interface SpiffeBundleFields {
  readonly x509: X509Bundle
  readonly jwt: JwtBundle
  /** A 64-bit integer that grows with every change; undefined if the publisher does not send it. */
  readonly sequence: number | bigint | undefined
  /** Suggested seconds between two fetches; undefined if the publisher does not send it. */
  readonly refreshHintSeconds: number | undefined
}

/** The X.509 and JWT authorities that a trust domain publishes in one document (Bundle §4). Immutable. */
export class SpiffeBundle implements X509BundleSource, JwtBundleSource {
  readonly trustDomain: TrustDomain
  readonly x509: X509Bundle
  readonly jwt: JwtBundle
  /** A bigint only if a number is not exact, so that equal sequences are equal by `===`. */
  readonly sequence: number | bigint | undefined
  readonly refreshHintSeconds: number | undefined

  constructor({ x509, jwt, sequence, refreshHintSeconds }: SpiffeBundleFields) {
    if (!x509.trustDomain.equals(jwt.trustDomain))
      throw new TypeError('The X.509 and the JWT bundle belong to different trust domains.')
    this.trustDomain = x509.trustDomain
    this.x509 = x509
    this.jwt = jwt
    this.sequence = sequence === undefined ? undefined : exactSequence(sequence)
    this.refreshHintSeconds = refreshHintSeconds
  }

  /**
   * Reads the document of a bundle endpoint. Skips unreadable keys and keys without a known `use` (Bundle §4.2.2). A document
   * without `keys` is an error; one with an empty list trusts no keys.
   *
   * @throws SpiffeBundleError
   */
  static ofJson(trustDomain: TrustDomainLike, json: string): SpiffeBundle {
    const domain = parseTrustDomain(trustDomain)
    let document: unknown
    try {
      document = readJson(json)
    } catch (cause) {
      if (!(cause instanceof JsonError)) throw cause
      const why = cause.code === 'malformed_json' ? 'it is not JSON' : cause.message
      throw new SpiffeBundleError('malformed_bundle', `unable to parse JWKS: ${why}`, { cause })
    }
    const keys = keysOf(document)
    if (!keys) throw new SpiffeBundleError('no_authorities', 'no authorities found')
    const { spiffe_sequence, spiffe_refresh_hint } = document as Readonly<Record<string, unknown>>
    return new SpiffeBundle({
      x509: new X509Bundle(domain, present(keys.filter(({ use }) => use === 'x509-svid').map(readCa))),
      jwt: new JwtBundle(domain, present(keys.filter(({ use }) => use === 'jwt-svid').map(readAuthority))),
      sequence: sequenceIn(spiffe_sequence),
      refreshHintSeconds: refreshHintIn(spiffe_refresh_hint),
    })
  }

  toJson(): string {
    const cas = this.x509.authorities.map((ca) => ({
      ...ca.publicKey.export({ format: 'jwk' }),
      use: 'x509-svid',
      x5c: [ca.raw.toString('base64')],
    }))
    const jwts = this.jwt.authorities.map((authority) => ({ ...toJwk(authority), use: 'jwt-svid' }))
    return writeJson({
      keys: [...cas, ...jwts],
      spiffe_sequence: typeof this.sequence === 'bigint' ? new JsonNumber(`${this.sequence}`) : this.sequence,
      spiffe_refresh_hint: this.refreshHintSeconds,
    })
  }

  get x509Bundles(): readonly X509Bundle[] {
    return [this.x509]
  }

  getX509Bundle(trustDomain: TrustDomain): X509Bundle {
    return this.x509.getX509Bundle(trustDomain)
  }

  getJwtBundle(trustDomain: TrustDomain): JwtBundle {
    return this.jwt.getJwtBundle(trustDomain)
  }

  equals(other: SpiffeBundle): boolean {
    return (
      this.x509.equals(other.x509) &&
      this.jwt.equals(other.jwt) &&
      this.sequence === other.sequence &&
      this.refreshHintSeconds === other.refreshHintSeconds
    )
  }
}

/** Reads the CA certificate, which is the first of `x5c`; the others only help to build a path to it (Bundle §4.2.2). */
function readCa({ x5c }: Jwk): Certificate | undefined {
  const first = Array.isArray(x5c) ? x5c[0] : undefined
  if (typeof first !== 'string') return undefined
  try {
    return parseCertificate(Buffer.from(first, 'base64'))
  } catch {
    return undefined
  }
}

const present = <T>(values: readonly (T | undefined)[]): T[] => values.filter((value) => value !== undefined)

/** A sequence number is a 64-bit integer (Bundle §4.1.1). */
const MAX_SEQUENCE = 2n ** 64n - 1n

function exactSequence(sequence: number | bigint): number | bigint {
  const isWhole = typeof sequence === 'bigint' || Number.isInteger(sequence)
  if (!isWhole || sequence < 0 || sequence > MAX_SEQUENCE)
    throw new SpiffeBundleError('malformed_bundle', 'spiffe_sequence is not a 64-bit integer')
  // Through the string: a number beyond 2^53 means its printed digits, not the exact value of the double.
  return sequence <= Number.MAX_SAFE_INTEGER ? Number(sequence) : BigInt(`${sequence}`)
}

function sequenceIn(value: unknown): number | bigint | undefined {
  if (value instanceof JsonNumber && /^\d+$/.test(value.source)) return BigInt(value.source)
  const number = toNumber(value)
  return number === undefined || typeof number === 'number' ? number : Number.NaN
}

function refreshHintIn(given: unknown): number | undefined {
  const value = toNumber(given)
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new SpiffeBundleError('malformed_bundle', 'spiffe_refresh_hint is not an integer below 2^53')
  return value as number
}
