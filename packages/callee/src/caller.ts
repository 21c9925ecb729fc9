import type { HttpError } from '@hallpass/service-kit'

/** The only service that a callee accepts, as exported by that service's client. */
export interface Caller {
  /** The subject of its tokens, and the name of its key at the issuer. */
  readonly subject: string
  /** The issuer of the tokens that it signs itself. */
  readonly issuer: string
  readonly maxTokenLifetimeSeconds: number
  /** Returns the file in which it publishes its JWKS. */
  keySetFile(stateFolder: string): string
  /** Returns the error to send while it has published none. */
  keysMissing(): HttpError
}
