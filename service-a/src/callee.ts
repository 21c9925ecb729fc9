import { readFile } from 'node:fs/promises'
import { type AxiosInstance, createPeerClient, unexpectedAnswer } from '@hallpass/service-kit'

/** What a guarded endpoint said about a token: the claims of a good one, or why it was refused. */
export type Outcome = Readonly<Record<string, unknown>> & { readonly valid: boolean }

export interface CalleeOptions {
  /** Its name, which is the audience of the tokens for it. */
  readonly name: string
  readonly baseUrl: string
  readonly timeoutMs: number
  /** The authority that must have signed its certificate, where it is called over TLS. */
  readonly caFile?: string
}

/** A service that service A calls with a token. */
export class Callee {
  readonly name: string
  readonly #options: CalleeOptions
  #http: Promise<AxiosInstance> | undefined

  constructor(options: CalleeOptions) {
    this.name = options.name
    this.#options = options
  }

  /**
   * Calls a guarded endpoint. That a token is refused is an outcome; anything else that goes wrong is not.
   * @throws {PeerError} 502 or 504, naming the callee.
   */
  async call(path: string, token: string | undefined): Promise<Outcome> {
    this.#http ??= this.#connect()
    const http = await this.#http
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const { status, data } = await http.get(path, { headers })
    if ((status === 200 || status === 401) && typeof data?.valid === 'boolean') return data as Outcome
    if (status === 401 && token === undefined) return { valid: false, ...data }
    throw unexpectedAnswer(this.name, status, data?.error?.message ?? 'no outcome')
  }

  /** At the first call, because on a fresh machine the certificates are made while the service starts. */
  async #connect(): Promise<AxiosInstance> {
    const { name: peer, baseUrl, timeoutMs, caFile } = this.#options
    const tls = caFile === undefined ? {} : { tls: { ca: await readFile(caFile, 'utf8') } }
    return createPeerClient({ peer, baseUrl, timeoutMs, ...tls })
  }
}
