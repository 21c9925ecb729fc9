import type { JwtSvid } from './svid.ts'

export interface JwtSvidParams {
  /** The token's audience; must not be empty. */
  readonly audience: string | readonly string[]
  /** The SPIFFE ID to use, if the workload has several. */
  readonly subject?: string
}

/** A source of the workload's own JWT-SVIDs. */
export interface JwtSvidSource {
  fetchJwtSvid(params: JwtSvidParams): Promise<JwtSvid>
}
