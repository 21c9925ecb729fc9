import { SpiffeIdError } from './errors.ts'

const NAME = /^[a-z0-9._-]*$/

/** SPIFFE-ID §2.1: the trust domain is the authority of a URI, whose host has at most 255 bytes. */
const MAX_NAME_BYTES = 255

/** The name of a trust domain: one set of authorities, one bundle (`example.org`). Immutable. */
export class TrustDomain {
  readonly name: string

  private constructor(name: string) {
    this.name = name
  }

  /**
   * Makes a trust domain from its name.
   *
   * @throws SpiffeIdError
   */
  static ofName(name: string): TrustDomain {
    if (!NAME.test(name)) throw new SpiffeIdError('bad_trust_domain_character')
    if (name === '') throw new SpiffeIdError('missing_trust_domain')
    if (name.length > MAX_NAME_BYTES) throw new SpiffeIdError('trust_domain_too_long')
    return new TrustDomain(name)
  }

  equals(other: TrustDomain): boolean {
    return this.name === other.name
  }

  /** The SPIFFE ID of the trust domain itself, without a path. */
  get id(): string {
    return `spiffe://${this.name}`
  }

  toString(): string {
    return this.name
  }

  toJSON(): string {
    return this.name
  }
}
