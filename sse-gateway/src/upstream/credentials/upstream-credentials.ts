import { validateHeaderValue } from 'node:http'
import { followFiles } from '@hallpass/certificates'
import { readOwnerOnlyFile } from '@hallpass/private-files'
import type { Clock, Logger } from '@hallpass/service-kit'
import { CachedToken, type UpstreamToken } from './cached-token.ts'
import type { CredentialRule } from './rules.ts'
import { readTlsIdentity, type TlsIdentity } from './tls-identity.ts'
import { clientCredentials } from './token-endpoint.ts'

/** What one connection to the upstream is made with. */
export interface UpstreamAccess {
  readonly headers: Readonly<Record<string, string>>
  readonly tls: TlsIdentity
  /** The token in the headers, if this gateway has one of its own. */
  readonly token: UpstreamToken | undefined
}

export interface UpstreamCredentialsOptions {
  readonly path: string
  readonly log: Logger
  readonly clock: Clock
  /** The limit for a call of the token endpoint. */
  readonly timeoutMs: number
  /** How often the files are checked for a change; by default as often as those of a listener. */
  readonly pollMs?: number
  /** Measures the ages of tokens; by default `performance.now`. */
  readonly now?: () => number
}

/** What the files of a rule contain. */
type Files = Omit<UpstreamAccess, 'token'>

/**
 * The credentials of this gateway at one upstream: certificate, headers and token. Files are read when they change, and not
 * for each connection or publication, which would take a millisecond.
 */
export class UpstreamCredentials {
  readonly #tokens: CachedToken | undefined
  readonly #stop: () => void
  #files: Files

  private constructor(rule: CredentialRule, options: UpstreamCredentialsOptions, files: Files) {
    const { path, log, clock, timeoutMs, pollMs, now } = options
    this.#files = files
    this.#tokens = rule.token && new CachedToken(clientCredentials(rule.token, { clock, timeoutMs }), now)
    this.#stop = followFiles({
      what: 'credential of the upstream',
      files: filesOf(rule),
      read: () => readFiles(rule),
      use: (renewed) => {
        this.#files = renewed
      },
      log: log.child({ path }),
      pollMs,
    })
  }

  /** @throws {StateFileError} if a file is missing or cannot be used */
  static async load(rule: CredentialRule, options: UpstreamCredentialsOptions): Promise<UpstreamCredentials> {
    return new UpstreamCredentials(rule, options, await readFiles(rule))
  }

  /** Ends the checks of the files. */
  stop(): void {
    this.#stop()
  }

  /** @throws {NoTokenError} */
  async access(): Promise<UpstreamAccess> {
    return this.#with(await this.#tokens?.get())
  }

  /**
   * Returns what to try after the upstream has answered 401, or `undefined` if nothing else can be tried.
   * @throws {NoTokenError}
   */
  async accessAfter({ token }: UpstreamAccess): Promise<UpstreamAccess | undefined> {
    const next = token && (await this.#tokens?.after(token))
    return next && this.#with(next)
  }

  #with(token: UpstreamToken | undefined): UpstreamAccess {
    const { tls, headers } = this.#files
    return { tls, headers: token ? { ...headers, authorization: `Bearer ${token.value}` } : headers, token }
  }
}

const filesOf = ({ caFile, certFile, keyFile, headerFiles = {} }: CredentialRule): string[] =>
  [caFile, certFile, keyFile, ...Object.values(headerFiles)].filter((file) => file !== undefined)

async function readFiles(rule: CredentialRule): Promise<Files> {
  const [tls, headers] = await Promise.all([readTlsIdentity(rule), readHeaders(rule)])
  return { tls, headers }
}

async function readHeaders({ headers, headerFiles = {} }: CredentialRule): Promise<Record<string, string>> {
  const read = Object.entries(headerFiles).map(async ([name, file]) => {
    const value = (await readOwnerOnlyFile(file)).trim()
    // Node's error names only the header.
    validateHeaderValue(name, value)
    return [name, value] as const
  })
  return { ...headers, ...Object.fromEntries(await Promise.all(read)) }
}
