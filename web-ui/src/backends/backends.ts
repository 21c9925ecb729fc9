import { type BackendAnswer, createBackendClient } from '@hallpass/backend-api/client'
import { PeerError } from '@hallpass/service-kit'

interface BackendCallMade {
  readonly title: string
  readonly peer: string
  readonly path: string
  readonly withToken: boolean
  readonly milliseconds: number
}

/** The result of a call: an answer of any status, or the reason why there is none. */
export type BackendResult = BackendCallMade &
  ({ readonly answer: BackendAnswer } | { readonly failure: string })

export interface BackendsOptions {
  readonly backendUrl: string
  readonly secondBackendUrl: string
}

/** The two backends that the home page calls. */
export class Backends {
  readonly #calls

  constructor({ backendUrl, secondBackendUrl }: BackendsOptions) {
    this.#calls = [
      { title: 'First backend', peer: 'backend-api', path: '/data', baseUrl: backendUrl },
      { title: 'Second backend', peer: 'second-backend-api', path: '/data2', baseUrl: secondBackendUrl },
    ].map(({ baseUrl, ...call }) => ({ ...call, client: createBackendClient({ peer: call.peer, baseUrl }) }))
  }

  /** Calls both concurrently. A failure of one does not affect the other. */
  callAll(
    accessToken: string | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<BackendResult[]> {
    return Promise.all(
      this.#calls.map(async ({ client, ...call }) => {
        const started = performance.now()
        const made = () => ({
          ...call,
          withToken: accessToken !== undefined,
          milliseconds: performance.now() - started,
        })
        try {
          const answer = await client.get(call.path, { accessToken, headers })
          return { ...made(), answer }
        } catch (error) {
          if (error instanceof PeerError) return { ...made(), failure: error.message }
          throw error
        }
      }),
    )
  }
}
