import { isIP, SocketAddress } from 'node:net'
import { type Clock, HttpError } from '@hallpass/service-kit'
import {
  type Certificate,
  DerError,
  EXTENDED_KEY_USAGE,
  findPath,
  PathError,
  parseCertificate,
  parseDistinguishedName,
  parsePemCertificates,
  readDistinguishedName,
} from '@hallpass/x509'

/** A client that authenticates with a certificate of a CA and exactly one of the names (RFC 8705 §2.1.2). */
export interface CertificateEntry {
  readonly clientId: string
  /** The CAs as PEM: roots, or intermediate CAs if only their certificates are to be accepted. */
  readonly ca?: string
  readonly subjectDn?: string | undefined
  readonly sanDns?: string | undefined
  readonly sanUri?: string | undefined
  readonly sanIp?: string | undefined
  readonly sanEmail?: string | undefined
}

/** The CAs below one root that certify the instances of one client. Beyond it, the oldest is forgotten. */
const MAX_INTERMEDIATES = 16

interface Expected {
  readonly anchors: readonly Certificate[]
  /**
   * Verified intermediate CAs by their DER: a resumed TLS session has only the client's own certificate, without the chain
   * that the client sent in the full handshake.
   */
  readonly intermediates: Map<string, Certificate>
  /** What the certificate must contain, for the message. */
  readonly name: string
  readonly hasName: (certificate: Certificate) => boolean
}

/** Recognizes clients by the certificates of their TLS connections: `tls_client_auth` (RFC 8705 §2.1). */
export class CertificateClients {
  readonly #clients: ReadonlyMap<string, Expected>
  readonly #clock: Clock

  /** @throws {TypeError | DerError} if a name or a CA is malformed */
  constructor(entries: readonly CertificateEntry[], clock: Clock) {
    this.#clock = clock
    this.#clients = new Map(
      entries.map((entry) => [
        entry.clientId,
        {
          anchors: parsePemCertificates(entry.ca ?? ''),
          intermediates: new Map<string, Certificate>(),
          ...expectedName(entry),
        },
      ]),
    )
  }

  /**
   * Checks that a client's certificate is from its CA, for clients, valid now, and has the client's name.
   * @param certificates as DER; the client's own first
   * @throws {HttpError} 401 `invalid_client`
   */
  authenticate(clientId: string, certificates: readonly Buffer[]): void {
    const expected = this.#clients.get(clientId)
    if (!expected) throw invalidCertificate('no client with this client_id uses a certificate')
    const why = this.#faultOf(expected, certificates)
    if (why !== undefined) throw invalidCertificate(why)
  }

  /** Returns whether a certificate would authenticate any client. */
  recognizes(certificates: readonly Buffer[]): boolean {
    return (
      certificates.length > 0 &&
      [...this.#clients.values()].some((expected) => this.#faultOf(expected, certificates) === undefined)
    )
  }

  #faultOf(expected: Expected, certificates: readonly Buffer[]): string | undefined {
    const { anchors, intermediates, name, hasName } = expected
    try {
      const [leaf, ...others] = certificates.map(parseCertificate)
      if (!leaf) return 'the connection has no certificate'
      const path = findPath(leaf, [...others, ...intermediates.values()], anchors, this.#clock())
      for (const certificate of path.slice(1, -1)) remember(intermediates, certificate)
      if (!isForClients(leaf)) return 'the certificate is not for TLS clients'
      return hasName(leaf) ? undefined : `the certificate does not have ${name}`
    } catch (error) {
      if (error instanceof PathError || error instanceof DerError) return error.message
      throw error
    }
  }
}

function remember(intermediates: Map<string, Certificate>, certificate: Certificate): void {
  intermediates.set(certificate.raw.toString('base64'), certificate)
  const [oldest] = intermediates.keys()
  if (intermediates.size > MAX_INTERMEDIATES && oldest !== undefined) intermediates.delete(oldest)
}

/** RFC 5280 §4.2.1.12: without the extension, a certificate may be used for any purpose. */
const isForClients = ({ extendedKeyUsages }: Certificate) =>
  extendedKeyUsages === undefined ||
  extendedKeyUsages.includes(EXTENDED_KEY_USAGE.clientAuth) ||
  extendedKeyUsages.includes(EXTENDED_KEY_USAGE.any)

function expectedName(entry: CertificateEntry): Pick<Expected, 'name' | 'hasName'> {
  const { clientId, subjectDn, sanDns, sanUri, sanIp, sanEmail } = entry
  const san = (
    kind: string,
    value: string,
    equals: (found: Buffer) => boolean,
  ): Pick<Expected, 'name' | 'hasName'> => ({
    name: `the subject alternative name ${value}`,
    hasName: ({ names }) => names.some((name) => name.kind === kind && equals(name.value)),
  })
  if (subjectDn !== undefined) {
    const expected = parseDistinguishedName(subjectDn)
    return {
      name: `the subject ${subjectDn}`,
      hasName: ({ subject }) => readDistinguishedName(subject) === expected,
    }
  }
  // RFC 4343: DNS names are compared without regard to case.
  if (sanDns !== undefined)
    return san('dns', sanDns, (found) => found.toString('latin1').toLowerCase() === sanDns.toLowerCase())
  if (sanUri !== undefined) return san('uri', sanUri, (found) => found.toString('latin1') === sanUri)
  if (sanEmail !== undefined) return san('email', sanEmail, (found) => found.toString('latin1') === sanEmail)
  if (sanIp !== undefined) return san('ip', sanIp, (found) => addressOf(found) === canonicalAddress(sanIp))
  throw new TypeError(`${clientId} has no expected name`)
}

/** Returns an address in its one canonical spelling. @throws {TypeError} if it is not an IP address */
function canonicalAddress(address: string): string {
  const version = isIP(address)
  if (version === 0) throw new TypeError(`${address} is not an IP address`)
  return new SocketAddress({ address, family: version === 6 ? 'ipv6' : 'ipv4' }).address
}

/** RFC 5280 §4.2.1.6: 4 octets, or 16. */
function addressOf(octets: Buffer): string | undefined {
  if (octets.length === 4) return [...octets].join('.')
  if (octets.length !== 16) return undefined
  return canonicalAddress((octets.toString('hex').match(/.{4}/g) as string[]).join(':'))
}

const invalidCertificate = (why: string) =>
  new HttpError(401, 'invalid_client', `Client authentication failed: ${why}.`, {
    headers: { 'www-authenticate': 'Bearer error="invalid_client"' },
  })
