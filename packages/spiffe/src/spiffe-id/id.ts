import { SpiffeIdError } from './errors.ts'
import { joinPath, validatePath } from './path.ts'
import { TrustDomain } from './trust-domain.ts'

const SCHEME = 'spiffe://'

/** SPIFFE-ID §2.3: implementations must support 2048 bytes, and must not generate longer IDs. */
const MAX_ID_BYTES = 2048

/**
 * A SPIFFE ID: the name of a workload (`spiffe://example.org/server`) or of a trust domain
 * (`spiffe://example.org`). Immutable; equal IDs have equal strings.
 *
 * Parsed byte by byte and never with `URL`, which changes case, resolves `..` and decodes percent-encoding, so that different
 * names would become equal.
 */
export class SpiffeId {
  readonly trustDomain: TrustDomain
  /** Empty, or with a leading slash. */
  readonly path: string
  readonly #string: string

  private constructor(trustDomain: TrustDomain, path: string) {
    this.trustDomain = trustDomain
    this.path = path
    this.#string = `${SCHEME}${trustDomain.name}${path}`
  }

  /** @throws SpiffeIdError */
  static parse(id: string): SpiffeId {
    if (id === '') throw new SpiffeIdError('empty')
    if (!id.startsWith(SCHEME)) throw new SpiffeIdError('wrong_scheme')
    const slash = id.indexOf('/', SCHEME.length)
    const end = slash === -1 ? id.length : slash
    const trustDomain = TrustDomain.ofName(id.slice(SCHEME.length, end))
    const path = id.slice(end)
    validatePath(path)
    // All characters have been checked to be ASCII, so the string's length is its length in bytes.
    if (id.length > MAX_ID_BYTES) throw new SpiffeIdError('too_long')
    return new SpiffeId(trustDomain, path)
  }

  /** @throws SpiffeIdError */
  static fromPath(trustDomain: TrustDomain, path: string): SpiffeId {
    return SpiffeId.parse(`${SCHEME}${trustDomain.name}${path}`)
  }

  /** @throws SpiffeIdError */
  static fromSegments(trustDomain: TrustDomain, ...segments: readonly string[]): SpiffeId {
    return SpiffeId.fromPath(trustDomain, joinPath(...segments))
  }

  memberOf(trustDomain: TrustDomain): boolean {
    return this.trustDomain.equals(trustDomain)
  }

  equals(other: SpiffeId): boolean {
    return this.#string === other.#string
  }

  toString(): string {
    return this.#string
  }

  toJSON(): string {
    return this.#string
  }
}
