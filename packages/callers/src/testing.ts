import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exportPrivatePem, generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'
import {
  basicConstraints,
  type CertificateIssuer,
  EXTENDED_KEY_USAGE,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
  toPem,
  writeCertificate,
  writeName,
} from '@hallpass/x509'
import { privateKeyJwt } from './credentials.ts'

/** Callers with their own keys, for tests of a service that authenticates callers. */
export class TestCallers<Name extends string> {
  readonly #rights: Readonly<Record<Name, object>>
  readonly #keys = new Map<string, SigningKey>()
  #folder = ''

  /** @param rights each caller's rights in the trusted-callers file. */
  constructor(rights: Readonly<Record<Name, object>>) {
    this.#rights = rights
  }

  /** Writes the trusted-callers file and the keys below `stateFolder`; returns the variables for the service. */
  async prepare(stateFolder: string): Promise<{ CALLERS: string; TRUSTED_CALLERS_FILE: string }> {
    this.#folder = join(stateFolder, 'callers')
    await mkdir(this.#folder, { mode: 0o700 })
    const callers = await Promise.all(
      Object.entries<object>(this.#rights).map(async ([clientId, rights]) => {
        const key = await generateSigningKey('ES256')
        this.#keys.set(clientId, key)
        await writeFile(this.keyFile(clientId), exportPrivatePem(key), { mode: 0o600 })
        await writeFile(join(this.#folder, `${clientId}.json`), JSON.stringify(publicJwks([key])))
        return { method: 'private_key_jwt', clientId, jwksFile: `${clientId}.json`, ...rights }
      }),
    )
    const trustFile = join(this.#folder, 'callers.json')
    await writeFile(trustFile, JSON.stringify({ callers }))
    return { CALLERS: 'authenticated', TRUSTED_CALLERS_FILE: trustFile }
  }

  /** Returns the value for the `CALLER_KEY_FILE` of a service. */
  keyFile(name: string): string {
    return join(this.#folder, `${name}.pem`)
  }

  key(name: Name): SigningKey {
    const key = this.#keys.get(name)
    if (!key) throw new Error('Call prepare() first.')
    return key
  }

  /** Returns the `Authorization` header with which a caller authenticates to a service. */
  as(name: Name, audience: string): Promise<string> {
    return privateKeyJwt({ clientId: name, audience, key: this.key(name) })()
  }
}

/** A CA for tests of clients that authenticate with certificates. */
export class TestAuthority {
  readonly #issuer: CertificateIssuer
  /** The certificate of the CA, as PEM. */
  readonly pem: string

  constructor(commonName: string, signedBy?: TestAuthority) {
    const { publicKey, privateKey } = newKeys()
    this.#issuer = { name: writeName(['commonName', commonName]), privateKey }
    const extensions = [basicConstraints({}), keyUsage('keyCertSign')]
    const content = { subject: this.#issuer.name, publicKey, extensions, ...VALIDITY }
    this.pem = toPem({ raw: writeCertificate(content, signedBy ? signedBy.#issuer : this.#issuer) })
  }

  /** Issues a certificate; by default, valid now and for TLS clients. */
  issue({
    subject = [['commonName', 'client']],
    names = {},
    purposes = [EXTENDED_KEY_USAGE.clientAuth],
    ...validity
  }: {
    readonly subject?: readonly (readonly ['commonName' | 'organization', string])[]
    readonly names?: Parameters<typeof subjectAltName>[0]
    readonly purposes?: readonly string[]
    readonly notBefore?: number
    readonly notAfter?: number
  } = {}): { readonly cert: string; readonly key: string } {
    const { publicKey, privateKey } = newKeys()
    const extensions = [
      basicConstraints(),
      keyUsage('digitalSignature'),
      ...(purposes.length > 0 ? [extendedKeyUsage(...purposes)] : []),
      ...(Object.keys(names).length > 0 ? [subjectAltName(names)] : []),
    ]
    const content = { subject: writeName(...subject), publicKey, extensions, ...VALIDITY, ...validity }
    return {
      cert: toPem({ raw: writeCertificate(content, this.#issuer) }),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  /** Issues a certificate for a TLS server on this machine. */
  issueServer(): { readonly cert: string; readonly key: string } {
    return this.issue({ names: { dnsNames: ['localhost'] }, purposes: [EXTENDED_KEY_USAGE.serverAuth] })
  }
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const HOUR_MS = 3_600_000
const VALIDITY = { notBefore: Date.now() - HOUR_MS, notAfter: Date.now() + 24 * HOUR_MS }
