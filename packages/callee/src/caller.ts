import type { HttpError } from '@hallpass/service-kit'

/** The only service that a callee accepts, as that service describes itself in its client. */
export interface Caller {
  /** The subject of its tokens, and the name of its key at the issuer. */
  readonly subject: string
  /** The issuer of the tokens that it signs itself. */
  readonly issuer: string
  readonly maxTokenLifetimeSeconds: number
  /** Where it publishes its JWKS. */
  keySetFile(stateFolder: string): string
  /** What to answer while it has published none. */
  keysMissing(): HttpError
}
