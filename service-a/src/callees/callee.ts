import { readCaFile } from '@hallpass/certificates'
import { createPeerCaller, type PeerCaller, unexpectedAnswer } from '@hallpass/service-kit'
import { parseJson } from '@hallpass/untrusted/json'

/** The result of a guarded endpoint: the claims of a valid token, or why the token was rejected. */
export type Outcome = Readonly<Record<string, unknown>> & { readonly valid: boolean }

export interface CalleeOptions {
  /** Its name, which is also the audience of its tokens. */
  readonly name: string
  readonly baseUrl: string
  readonly timeoutMs: number
  /** The CA that must have issued its certificate, if it is called over TLS. */
  readonly caFile?: string
}

/** A service that service A calls with a token. */
export class Callee {
  readonly name: string
  readonly #options: CalleeOptions
  #caller: Promise<PeerCaller> | undefined

  constructor(options: CalleeOptions) {
    this.name = options.name
    this.#options = options
  }

  /**
   * Calls a guarded endpoint. A rejected token is a result; any other failure is an error.
   * @throws {PeerError} 502 or 504, naming the callee
   */
  async call(path: string, token: string | undefined): Promise<Outcome> {
    this.#caller ??= this.#connect()
    const call = await this.#caller
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const { status, text } = await call({ method: 'GET', path, headers })
    const body = parse(text)
    if ((status === 200 || status === 401) && typeof body?.valid === 'boolean') return body as Outcome
    if (status === 401 && token === undefined) return { valid: false, ...body } as Outcome
    throw unexpectedAnswer(this.name, status, body?.error?.message ?? 'no verification result')
  }

  /** Connects on the first call, because on a fresh machine the certificates are created while the service starts. */
  async #connect(): Promise<PeerCaller> {
    const { name: peer, baseUrl, timeoutMs, caFile } = this.#options
    const tls = caFile === undefined ? {} : { tls: { ca: await readCaFile(caFile) } }
    // The pool directly instead of axios: this is the call that the scenarios measure
    // (docs/decisions/003-axios-over-a-pool.md).
    return createPeerCaller({ peer, baseUrl, timeoutMs, ...tls })
  }
}

type Body = { readonly valid?: unknown; readonly error?: { readonly message?: string } }

function parse(text: string): Body | undefined {
  try {
    return parseJson(text) as Body
  } catch {
    return undefined
  }
}
