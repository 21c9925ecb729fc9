/**
 * @typedef {object} Token
 * @property {string} text
 * @property {number} issuedAt in milliseconds since the epoch
 * @property {number} expiresAt in milliseconds since the epoch
 * @property {number} windowMs how long before its end the gateway asks for the next one
 * @property {string} subject
 * @property {string} id its `jti`
 */

/**
 * A new token from the gateway's token endpoint: where a login would be. The key that signs it stays there.
 * @returns {Promise<Token>}
 */
export async function fetchToken() {
  const answer = await fetch('/token', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  })
  if (!answer.ok) throw new Error(`No token: the token endpoint answered ${answer.status}.`)
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
 * Revokes a token by itself: whoever has it may give it up.
 * @param {Token} token
 */
export async function revokeToken(token) {
  const answer = await fetch('/revocations', {
    method: 'POST',
    headers: { authorization: `Bearer ${token.text}`, 'content-type': 'application/json' },
    body: JSON.stringify({ jti: token.id }),
  })
  if (!answer.ok) throw new Error(`Not revoked: the gateway answered ${answer.status}.`)
}
