import { unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:net'
import type { SecureContextOptions, TlsOptions } from 'node:tls'
import { readCaFile, type TlsFilesOptions, tlsFiles } from './tls-files.ts'

/** How often the files are checked for a change; certificate managers renew days before the expiry. */
const POLL_MS = 30_000

export interface TlsListenerOptions extends TlsFilesOptions {
  /** With it, clients are asked for a certificate of these CAs. If it is required, others fail the handshake. */
  readonly clientCertificates?: { readonly caFile: string; readonly required: boolean } | undefined
  readonly certificatePollMs?: number
}

/** Where the result of a renewal is reported. */
export interface RenewalLog {
  info(message: string): void
  warn(details: { readonly err: unknown }, message: string): void
}

/** The part of a listener of `httpService` that makes it a TLS listener. */
export interface TlsListener {
  readonly tls: () => Promise<TlsOptions>
  readonly prepare: (server: Server & { setSecureContext(options: SecureContextOptions): void }) => void
}

/**
 * Serves a certificate from files, and each new one that a certificate manager writes there, for new connections; open
 * ones keep theirs. In development mode the first files are created.
 *
 * Where client certificates are not required (mutual TLS is one of several ways to authenticate, RFC 8705 §2), a handler
 * must check `socket.authorized` before it uses `socket.getPeerCertificate()`.
 */
export function tlsListener(options: TlsListenerOptions, log: RenewalLog): TlsListener {
  const { tls, clientCertificates: clients } = options
  const files = [tls.certFile, tls.keyFile, ...(clients ? [clients.caFile] : [])]
  const read = async (): Promise<TlsOptions> => ({
    ...(await tlsFiles(options)),
    // With no CA, Node would load its whole list of web CAs.
    ca: clients ? await readCaFile(clients.caFile) : [],
    minVersion: 'TLSv1.2',
    ...(clients ? { requestCert: true, rejectUnauthorized: clients.required } : {}),
  })
  return {
    tls: read,
    prepare(server) {
      const stop = followFiles({
        what: 'certificate',
        files,
        read,
        use: (context) => server.setSecureContext(context),
        log,
        pollMs: options.certificatePollMs,
      })
      server.once('close', stop)
    },
  }
}

/**
 * Returns the listeners `http` and, if the configuration has a port for it, `https`.
 */
export function httpListeners(
  config: TlsListenerOptions & {
    readonly host: string
    readonly port: number
    readonly httpsPort: number | undefined
  },
  log: RenewalLog,
): [HttpListener, ...HttpListener[]] {
  const { host, port, httpsPort } = config
  const plain = { name: 'http', host, port }
  if (httpsPort === undefined) return [plain]
  return [plain, { name: 'https', host, port: httpsPort, ...tlsListener(config, log) }]
}

interface HttpListener extends Partial<TlsListener> {
  readonly name: string
  readonly host: string
  readonly port: number
}

/**
 * Reads certificates and other credentials again when one of their files changes. If they cannot be used, e.g. while the
 * certificate is new and its key is not yet, the ones in use stay.
 * @returns the function that ends it
 */
export function followFiles<T>(following: {
  /** The noun for the log. */
  readonly what: string
  readonly files: readonly string[]
  readonly read: () => Promise<T>
  readonly use: (content: T) => void
  readonly log: RenewalLog
  readonly pollMs?: number | undefined
}): () => void {
  const { what, files, read, use, log, pollMs: interval = POLL_MS } = following
  const renew = async () => {
    try {
      use(await read())
      log.info(`${what} reloaded`)
    } catch (err) {
      log.warn({ err }, `${what} could not be reloaded`)
    }
  }
  // One after the other: of two at the same time, the one that has read the older files could end last.
  let renewed = Promise.resolve()
  const onChange = () => {
    renewed = renewed.then(renew)
  }
  for (const file of files) watchFile(file, { interval, persistent: false }, onChange)
  return () => {
    for (const file of files) unwatchFile(file, onChange)
  }
}
