import { createPrivateKey, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { type Certificate, parseCertificates, parsePemCertificates, toPem } from '@hallpass/x509'
import type { SpiffeId } from '../spiffe-id/index.ts'
import { X509SvidError } from './errors.ts'
import { leafViolation, readLeafId } from './leaf.ts'

const KEY_TYPES: ReadonlySet<string> = new Set(['rsa', 'rsa-pss', 'ec', 'ed25519'])

/** A source of the workload's own X.509-SVID. Called for every handshake, so that rotation takes effect. */
export interface X509SvidSource {
  /** @throws SourceError if no SVID is available: not ready, withdrawn, expired, closed */
  getX509Svid(): X509Svid
}

/** The workload's own X.509-SVID: ID, certificate chain (leaf first) and the leaf's private key. Immutable. */
export class X509Svid implements X509SvidSource {
  readonly id: SpiffeId
  readonly certificates: readonly Certificate[]
  /** The issuer's label for this identity, to distinguish several; can be empty. */
  readonly hint: string
  readonly #privateKey: KeyObject

  private constructor(id: SpiffeId, certificates: readonly Certificate[], key: KeyObject, hint: string) {
    this.id = id
    this.certificates = certificates
    this.hint = hint
    this.#privateKey = key
  }

  /**
   * Reads the fields of the Workload API: concatenated DER certificates, and the key as PKCS#8 DER.
   *
   * @throws X509SvidError
   */
  static ofDer(certificates: Uint8Array, privateKey: Uint8Array, hint = ''): X509Svid {
    const parsed = attempt('malformed_certificate', 'cannot parse DER encoded certificate', () =>
      parseCertificates(certificates),
    )
    const key = attempt('malformed_key', 'cannot parse DER encoded private key', () =>
      privateKey.length === 0
        ? undefined
        : createPrivateKey({ key: Buffer.from(privateKey), format: 'der', type: 'pkcs8' }),
    )
    return X509Svid.#of(parsed, key, hint)
  }

  /** Reads PEM: the certificates, leaf first, and one private key, in one string or two. @throws X509SvidError */
  static ofPem(certificates: string, privateKey: string = certificates, hint = ''): X509Svid {
    const parsed = attempt('malformed_certificate', 'cannot parse PEM encoded certificate', () =>
      parsePemCertificates(certificates),
    )
    const block = /-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]+?-----END \1-----/.exec(privateKey)?.[0]
    const key = attempt('malformed_key', 'cannot parse PEM encoded private key', () =>
      block === undefined ? undefined : createPrivateKey(block),
    )
    return X509Svid.#of(parsed, key, hint)
  }

  static #of(certificates: readonly Certificate[], key: KeyObject | undefined, hint: string): X509Svid {
    const refuse = (code: X509SvidError['code'], message: string) => {
      throw new X509SvidError(code, `certificate validation failed: ${message}`)
    }
    const [leaf, ...signers] = certificates
    if (!leaf)
      throw new X509SvidError('no_certificates', 'certificate validation failed: no certificates found')
    const id = readLeafId(leaf, 'certificate validation failed: cannot get leaf certificate SPIFFE ID')
    const violation = leafViolation(leaf, id, 'own')
    if (violation) refuse(...violation)
    for (const signer of signers) {
      if (!signer.isCa) refuse('intermediate_is_no_ca', 'signing certificate must have CA flag set to true')
      if (!signer.keyUsages?.has('keyCertSign'))
        refuse('intermediate_does_not_sign', "signing certificate must have 'keyCertSign' set as key usage")
    }
    return new X509Svid(id, certificates, checkKey(key, leaf), hint)
  }

  get leaf(): Certificate {
    return this.certificates[0] as Certificate
  }

  /** The first invalid moment, after the last valid second, in milliseconds since the epoch. */
  get expiresAt(): number {
    return Math.min(...this.certificates.map(({ notAfter }) => notAfter)) + 1000
  }

  get privateKey(): KeyObject {
    return this.#privateKey
  }

  getX509Svid(): X509Svid {
    return this
  }

  /** Returns the certificates, leaf first, as Node's TLS option `cert` expects. */
  toPem(): string {
    return this.certificates.map(toPem).join('')
  }

  /** Returns unencrypted PKCS#8: keep it in memory, or write it with mode 0600. */
  privateKeyPem(): string {
    return this.#privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  }

  equals(other: X509Svid): boolean {
    return (
      this.certificates.length === other.certificates.length &&
      this.certificates.every(({ raw }, index) =>
        raw.equals(other.certificates[index]?.raw ?? Buffer.of()),
      ) &&
      this.#privateKey.equals(other.#privateKey) &&
      this.hint === other.hint
    )
  }

  /** Returns what is safe to log. */
  toJSON() {
    return { id: this.id.toString(), expiresAt: new Date(this.expiresAt).toISOString(), hint: this.hint }
  }

  [inspect.custom](): string {
    return `X509Svid ${inspect(this.toJSON())}`
  }
}

function checkKey(key: KeyObject | undefined, leaf: Certificate): KeyObject {
  const prefix = 'private key validation failed'
  if (!key) throw new X509SvidError('no_private_key', `${prefix}: no private key found`)
  if (!KEY_TYPES.has(key.asymmetricKeyType ?? ''))
    throw new X509SvidError('unsupported_key', `${prefix}: unsupported private key type`)
  if (!leaf.x509.checkPrivateKey(key))
    throw new X509SvidError('key_mismatch', `${prefix}: leaf certificate does not match private key`)
  return key
}

function attempt<T>(code: X509SvidError['code'], message: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new X509SvidError(code, `${message}: ${(cause as Error).message}`, { cause })
  }
}
