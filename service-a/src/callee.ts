import { type AxiosInstance, createPeerClient, type PeerClientOptions, unexpectedAnswer } from '@hallpass/service-kit'

/** What a guarded endpoint said about a token: the claims of a good one, or why it was refused. */
export type Outcome = Readonly<Record<string, unknown>> & { readonly valid: boolean }

/** A service that service A calls with a token. */
export class Callee {
  readonly name: string
  readonly #http: AxiosInstance

  constructor(options: PeerClientOptions) {
    this.name = options.peer
    this.#http = createPeerClient(options)
  }

  /**
   * Calls a guarded endpoint. That a token is refused is an outcome; anything else that goes wrong is not.
   * @throws {PeerError} 502 or 504, naming the callee.
   */
  async call(path: string, token: string): Promise<Outcome> {
    const { status, data } = await this.#http.get(path, { headers: { authorization: `Bearer ${token}` } })
    if ((status === 200 || status === 401) && typeof data?.valid === 'boolean') return data as Outcome
    throw unexpectedAnswer(this.name, status, data?.error?.message ?? 'no outcome')
  }
}
