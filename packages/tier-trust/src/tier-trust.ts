import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { SecureContextOptions, TLSSocket } from 'node:tls'
import { readCaFile, tlsFiles } from '@hallpass/certificates'
import { parseStateFile, readOrCreatePrivateFile } from '@hallpass/private-files'
import type { TierTrustConfig } from './config.ts'

/** Carries the secret from one tier to the next, and never leaves them. */
export const TIER_HEADER = 'x-hallpass-tier'

/** 256 bits: nobody guesses it. */
const SECRET_BYTES = 32

/** What a connection to the next tier needs to be trusted there, and to trust it. */
export interface TierCredentials {
  /** Name, value, name, value …: to be sent with each request. */
  readonly fields: readonly string[]
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
}

/**
 * Tells the tiers of a system apart from everybody else. What a tier says about a caller, in headers that anybody
 * could write, is believed only after {@link isFromTier}.
 */
export class TierTrust {
  readonly #config: TierTrustConfig
  /** A certificate is looked at once per connection. */
  readonly #judged = new WeakMap<Socket, boolean>()
  #secret: Buffer | undefined

  constructor(config: TierTrustConfig) {
    this.#config = config
  }

  /** Reads the secret or the certificate; makes the secret when this tier is the first to start. */
  async load(): Promise<TierCredentials> {
    if (this.#config.kind === 'certificate') {
      const { cert, key } = await tlsFiles(this.#config)
      return { fields: [], tls: { ca: await readCaFile(this.#config.tls.caFile), cert, key } }
    }
    const text = await readOrCreatePrivateFile(this.#config.secretFile, () =>
      randomBytes(SECRET_BYTES).toString('base64url'),
    )
    const shown = parseStateFile(
      this.#config.secretFile,
      text,
      'a secret of at least 32 letters and digits',
      readSecret,
    )
    this.#secret = Buffer.from(shown, 'latin1')
    return { fields: [TIER_HEADER, shown] }
  }

  isFromTier(request: IncomingMessage): boolean {
    if (this.#config.kind === 'certificate') return this.#hasKnownName(request.socket)
    const shown = request.headers[TIER_HEADER]
    const secret = this.#secret
    // In constant time, so that the time it takes does not tell how much of a guess was right.
    return (
      typeof shown === 'string' &&
      shown.length === secret?.length &&
      timingSafeEqual(Buffer.from(shown, 'latin1'), secret)
    )
  }

  /** For the listener of a tier: only certificates of the configured authority get through the handshake. */
  async listenerTls(): Promise<SecureContextOptions & { requestCert: true; rejectUnauthorized: true }> {
    const { cert, key } = await tlsFiles(this.#config)
    return {
      cert,
      key,
      ca: await readCaFile(this.#config.tls.caFile),
      requestCert: true,
      rejectUnauthorized: true,
    }
  }

  #hasKnownName(socket: Socket): boolean {
    const known = this.#judged.get(socket)
    if (known !== undefined) return known
    const { authorized, getPeerCertificate } = socket as TLSSocket
    const names = authorized ? namesOf(getPeerCertificate.call(socket).subjectaltname) : []
    const judged = names.some((name) => this.#config.names.includes(name))
    this.#judged.set(socket, judged)
    return judged
  }
}

function readSecret(text: string): string {
  if (!/^[\w-]{32,}\s*$/.test(text)) throw new Error('too short')
  return text.trim()
}

/** The DNS and URI names of `DNS:localhost, URI:spiffe://…`; names that Node had to quote are not ours. */
function namesOf(subjectAltName: string | undefined): string[] {
  return (subjectAltName ?? '')
    .split(', ')
    .filter((name) => /^(DNS|URI):[^"]+$/.test(name))
    .map((name) => name.slice(4))
}
