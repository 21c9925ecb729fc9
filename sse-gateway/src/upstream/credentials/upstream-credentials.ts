import { validateHeaderValue } from 'node:http'
import { readOwnerOnlyFile } from '@hallpass/private-files'
import type { Clock, Logger } from '@hallpass/service-kit'
import { CachedToken, type UpstreamToken } from './cached-token.ts'
import { lastGood } from './last-good.ts'
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
  /** Measures the ages of tokens; by default `performance.now`. */
  readonly now?: () => number
}

/** The credentials of this gateway at one upstream: certificate, headers and token. Files are read for each connection. */
export class UpstreamCredentials {
  readonly #readTls: () => Promise<TlsIdentity>
  readonly #readHeaders: () => Promise<Readonly<Record<string, string>>>
  readonly #tokens: CachedToken | undefined

  private constructor(
    rule: CredentialRule,
    { path, log, clock, timeoutMs, now }: UpstreamCredentialsOptions,
  ) {
    const onFileFailed = (err: unknown) =>
      log.warn({ path, err }, 'credential of the upstream could not be reloaded')
    this.#readTls = lastGood(() => readTlsIdentity(rule), onFileFailed)
    this.#readHeaders = lastGood(() => readHeaders(rule), onFileFailed)
    this.#tokens =
      rule.token && new CachedToken(clientCredentials(rule.token, { clock, timeoutMs, onFileFailed }), now)
  }

  /** Reads the files once, so that a missing one is found at the start. @throws {StateFileError} */
  static async load(rule: CredentialRule, options: UpstreamCredentialsOptions): Promise<UpstreamCredentials> {
    const credentials = new UpstreamCredentials(rule, options)
    await Promise.all([credentials.#readTls(), credentials.#readHeaders()])
    return credentials
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

  async #with(token: UpstreamToken | undefined): Promise<UpstreamAccess> {
    const [tls, headers] = await Promise.all([this.#readTls(), this.#readHeaders()])
    return { tls, headers: token ? { ...headers, authorization: `Bearer ${token.value}` } : headers, token }
  }
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
