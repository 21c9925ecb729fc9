import { fetchOver, lazyPeerClient } from '@hallpass/service-kit/peers'
import { isBearerType } from '@hallpass/tokens'
import { readJson } from '@hallpass/untrusted/json'
import { LoginRefused, PEER, refusedAnswer } from './refusals.ts'

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
/** Characters of an unexpected `token_type` in a message: longer than any registered one. */
const MAX_SHOWN_TYPE = 40

// These calls carry codes, secrets and tokens.
export const call = fetchOver(lazyPeerClient({ peer: PEER, timeoutMs: TIMEOUT_MS, confidential: true }))
const callToRefresh = fetchOver(
  lazyPeerClient({ peer: PEER, timeoutMs: REFRESH_TIMEOUT_MS, confidential: true }),
)

/**
 * Returns the function that calls the token and revocation endpoints. It rejects access tokens that are not bearer tokens, which
 * the library would do only in part, and renames the ID token in the answer to a refresh, so that the library does not read it:
 * its refusals would lose the new refresh token of the same answer.
 */
export const callAuthenticated =
  (address: string) =>
  async (url: string, options: RequestInit): Promise<Response> => {
    const isRefresh = new URLSearchParams(String(options.body ?? '')).get('grant_type') === 'refresh_token'
    const response = await (isRefresh ? callToRefresh : call)(url, options)
    if (response.status !== 200) throw await refusedAnswer(response, address)
    const text = await response.text()
    const { headers } = response
    const answer = objectIn(text)
    if (answer?.access_token !== undefined) requireBearer(answer)
    return new Response(isRefresh && answer ? withIdTokenRenamed(answer) : text, { status: 200, headers })
  }

/** Returns undefined if the text is no JSON object: the library explains what is wrong with it. */
function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const json = readJson(text)
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/**
 * Requires a bearer token (RFC 6749 §5.1, §7.1): one of another type, e.g. bound to a key (DPoP), must not be sent as one.
 * @throws {LoginRefused} with the next refresh token, because the one that was sent may no longer work
 */
function requireBearer({ token_type: type, refresh_token: next }: Record<string, unknown>): void {
  if (isBearerType(type)) return
  const shown = type === undefined ? 'missing' : JSON.stringify(type).slice(0, MAX_SHOWN_TYPE)
  const message = `the access token is not a bearer token: its token_type is ${shown}`
  throw new LoginRefused('not_a_bearer_token', message, false, {
    rotatedRefreshToken: typeof next === 'string' ? next : undefined,
  })
}

const withIdTokenRenamed = ({ id_token, ...others }: Record<string, unknown>): string =>
  JSON.stringify({ ...others, [REFRESHED_ID_TOKEN]: id_token })

/** Returns the ID token of the answer to a refresh, which nobody has verified. */
export function refreshedIdToken(answer: Readonly<Record<string, unknown>>): string | undefined {
  const token = answer[REFRESHED_ID_TOKEN]
  return typeof token === 'string' ? token : undefined
}
