import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type RenewalLog, readCaFile, type TlsListener, tlsFiles, tlsListener } from '@hallpass/certificates'
import { parseStateFile, readOrCreatePrivateFile } from '@hallpass/private-files'
import type { TierTrustConfig } from './config.ts'

/** The header that carries the secret between tiers; never forwarded beyond them. */
export const TIER_HEADER = 'x-hallpass-tier'

/** 256 bits: not guessable. */
const SECRET_BYTES = 32

/** What this tier needs to authenticate to the next tier and to verify it. */
export interface TierCredentials {
  /** Header fields to send with each request, as name, value, name, value, … */
  readonly fields: readonly string[]
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
}

/**
 * Distinguishes requests of the other tiers from all others. Identity headers, which any client could write, are trusted
 * only if {@link isFromTier} returns true.
 */
export class TierTrust {
  readonly #config: TierTrustConfig
  /** Caches the result per connection, so that a certificate is checked once. */
  readonly #judged = new WeakMap<Socket, boolean>()
  #secret: Buffer | undefined

  constructor(config: TierTrustConfig) {
    this.#config = config
  }

  /** Reads the secret or the certificate. The first tier to start creates the secret. @throws {StateFileError} */
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
    // In constant time, so that the duration does not reveal how much of a guess was right.
    return (
      typeof shown === 'string' &&
      shown.length === secret?.length &&
      timingSafeEqual(Buffer.from(shown, 'latin1'), secret)
    )
  }

  /** Returns the TLS of a tier's listener: only client certificates of the configured CA pass the handshake. */
  listener(log: RenewalLog): TlsListener {
    const { caFile } = this.#config.tls
    return tlsListener({ ...this.#config, clientCertificates: { caFile, required: true } }, log)
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

/** Returns the names in `DNS:localhost, URI:spiffe://…`. Skips names that Node had to quote; ours need no quotes. */
function namesOf(subjectAltName: string | undefined): string[] {
  return (subjectAltName ?? '')
    .split(', ')
    .filter((name) => /^(DNS|URI):[^"]+$/.test(name))
    .map((name) => name.slice(4))
}
