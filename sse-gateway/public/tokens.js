/**
 * @typedef {object} Token
 * @property {string} text
 * @property {number} issuedAt in milliseconds since the epoch
 * @property {number} expiresAt in milliseconds since the epoch
 * @property {number} windowMs how long before its expiry the gateway sends a challenge
 * @property {string} subject
 * @property {string} id its `jti`
 */

/**
 * Fetches a token from the gateway's demo token endpoint. A real application would log the user in here.
 * @returns {Promise<Token>}
 */
export async function fetchToken() {
  const answer = await fetch('/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  if (!answer.ok) throw new Error(`No token: the token endpoint returned ${answer.status}.`)
  const { access_token: text, challengeWindowMs: windowMs } = await answer.json()
  const { exp, iat, sub, jti } = JSON.parse(decode(text.split('.')[1]))
  return { text, windowMs, issuedAt: iat * 1000, expiresAt: exp * 1000, subject: sub, id: jti }
}

/** @param {string} part base64url */
function decode(part) {
  const bytes = atob(part.replaceAll('-', '+').replaceAll('_', '/'))
  return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)))
}

/**
 * Exchanges a token for a ticket that opens one stream, so that no token is in a URL.
 * @param {string} location the stream
 * @param {Token} token
 * @returns {Promise<string>}
 */
export async function fetchTicket(location, token) {
  const { href, pathname } = new URL(location)
  const answer = await fetch(new URL('/tickets', href), {
    method: 'POST',
    headers: { authorization: `Bearer ${token.text}`, 'content-type': 'application/json' },
    body: JSON.stringify({ path: pathname }),
  })
  if (!answer.ok) throw new Error(`No ticket: the gateway returned ${answer.status}.`)
  return (await answer.json()).ticket
}

/**
 * Revokes a token, authenticated by that same token.
 * @param {Token} token
 */
export async function revokeToken(token) {
  const answer = await fetch('/revocations', {
    method: 'POST',
    headers: { authorization: `Bearer ${token.text}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jti: token.id }),
  })
  if (!answer.ok) throw new Error(`The token was not revoked: the gateway returned ${answer.status}.`)
}
