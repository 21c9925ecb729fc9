import type { JwtSvid } from './svid.ts'

export interface JwtSvidParams {
  /** For whom the token is: never empty. */
  readonly audience: string | readonly string[]
  /** Which of one's identities, if there are several. */
  readonly subject?: string
}

/** Where one's own JWT-SVIDs come from. */
export interface JwtSvidSource {
  fetchJwtSvid(params: JwtSvidParams): Promise<JwtSvid>
}
