/** What a challenge response did to the streams that it names. */
export type Extension =
  /** A stream stays open for longer, or already has this token. */
  | { readonly outcome: 'extended' }
  | {
      readonly outcome: 'not_extended'
      /** When the stream closes, in milliseconds since the epoch. */
      readonly endsAt: number
      /** Whether it closes then because of its maximum age, so that no token extends it. */
      readonly tooOld: boolean
    }
  | {
      readonly outcome: 'forbidden'
      /** What the stream has and the token does not allow: see `StreamSessionOptions.missing`. */
      readonly missing: string
    }
  /** No open stream of the token's subject has the handle, or is on the connection. */
  | { readonly outcome: 'unknown' }

/**
 * Joins the results of several streams: extended if one of them is; otherwise what the token does not allow, because
 * a later one with the same rights does not help; otherwise that of the stream that closes first, because it is the one that needs
 * another token.
 */
export function joinExtensions(all: readonly Extension[]): Extension {
  let joined: Extension = { outcome: 'unknown' }
  for (const one of all) {
    if (one.outcome === 'extended') return one
    if (one.outcome === 'unknown' || joined.outcome === 'forbidden') continue
    if (one.outcome === 'forbidden' || joined.outcome === 'unknown' || one.endsAt < joined.endsAt)
      joined = one
  }
  return joined
}
