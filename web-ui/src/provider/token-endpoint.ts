import { fetchOver, lazyPeerClient } from '@hallpass/service-kit/peers'
import { readJson } from '@hallpass/untrusted/json'
import { PEER, refusedAnswer } from './refusals.ts'

/** For each call, except refreshes. */
const TIMEOUT_MS = 5_000
/**
 * For a refresh. Longer, because the answer has the only refresh token that still works, and no page waits for it. With the
 * metadata before it and the keys after it, shorter than the lease of the session (`LEASE_MS`).
 */
const REFRESH_TIMEOUT_MS = 10_000
/** Longer than both, because the library's error does not name the peer. */
export const LIBRARY_TIMEOUT_S = 15
/** The member under which the library hands over the ID token of a refresh without reading it. */
const REFRESHED_ID_TOKEN = 'unverified_id_token'

// These calls carry codes, secrets and tokens.
export const call = fetchOver(lazyPeerClient({ peer: PEER, timeoutMs: TIMEOUT_MS, confidential: true }))
const callToRefresh = fetchOver(
  lazyPeerClient({ peer: PEER, timeoutMs: REFRESH_TIMEOUT_MS, confidential: true }),
)

/**
 * Returns the function that calls the token and revocation endpoints. It renames the ID token in the answer to a refresh, so that
 * the library does not read it: its refusal would lose the new refresh token of the same answer.
 */
export const callAuthenticated =
  (address: string) =>
  async (url: string, options: RequestInit): Promise<Response> => {
    const isRefresh = new URLSearchParams(String(options.body ?? '')).get('grant_type') === 'refresh_token'
    const response = await (isRefresh ? callToRefresh : call)(url, options)
    if (response.status !== 200) throw await refusedAnswer(response, address)
    if (!isRefresh) return response
    const text = await response.text()
    const { headers } = response
    return new Response(withIdTokenRenamed(text) ?? text, { status: 200, headers })
  }

function withIdTokenRenamed(text: string): string | undefined {
  try {
    const { id_token, ...others } = readJson(text) as Record<string, unknown>
    return JSON.stringify({ ...others, [REFRESHED_ID_TOKEN]: id_token })
  } catch {
    // The library explains what is wrong with it.
    return undefined
  }
}

/** Returns the ID token of the answer to a refresh, which nobody has verified. */
export function refreshedIdToken(answer: Readonly<Record<string, unknown>>): string | undefined {
  const token = answer[REFRESHED_ID_TOKEN]
  return typeof token === 'string' ? token : undefined
}
