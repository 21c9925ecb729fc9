import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { exportPrivatePem, generateSigningKey, publicJwks, type SigningKey } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
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
import type { Configuration } from 'oidc-provider'
import { privateKeyJwt } from './credentials.ts'

export { TestAuthorizationServer } from './introspection/testing/authorization-server.ts'

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

export interface OpenidProviderOptions {
  /** The scope that clients may request. */
  readonly scope: string
  /** The client IDs; see {@link clientSecret}. */
  readonly clients: readonly string[]
  /** The form of the access tokens for an API; `jwt` by default. */
  readonly formatFor?: (audience: string) => 'jwt' | 'opaque'
  /** Further settings of `features`. */
  readonly features?: NonNullable<Configuration['features']>
}

/** Returns the secret of a client of {@link startOpenidProvider}. */
export const clientSecret = (clientId: string) => `secret of ${clientId}`

/** Starts `oidc-provider`, a provider that is not ours, with confidential clients that get tokens for themselves (RFC 6749 §4.4). */
export async function startOpenidProvider({ scope, clients, formatFor, features }: OpenidProviderOptions) {
  let answer: RequestListener = (_request, response) => response.writeHead(503).end()
  const server = createServer((request, response) => answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const key = testKey('ES256', 'provider')
  // It warns of Node 20 and of its store in memory, which a test may use.
  const { warn } = console
  console.warn = () => {}
  const { Provider } = await import('oidc-provider')
  answer = new Provider(issuer, {
    scopes: [scope],
    clients: clients.map((id) => ({
      client_id: id,
      client_secret: clientSecret(id),
      redirect_uris: [],
      response_types: [],
      grant_types: ['client_credentials'],
      id_token_signed_response_alg: 'ES256' as const,
    })),
    jwks: {
      keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, alg: 'ES256', use: 'sig' }],
    } as never,
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, audience) => ({
          audience,
          scope,
          accessTokenFormat: formatFor?.(audience) ?? 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
      ...features,
    },
  }).callback()
  console.warn = warn
  const stop = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { issuer, stop }
}
