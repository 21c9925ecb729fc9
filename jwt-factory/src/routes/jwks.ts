import { createHash } from 'node:crypto'
import type { Handler } from '@hallpass/service-kit'
import { publicJwks } from '@hallpass/tokens'
import type { KeyStore } from '../key-store.ts'

/**
 * Five minutes, a common cache time for a JWKS. The next key is published a whole rotation before it signs, and a
 * retired key stays until its last token has expired, so a copy of this age contains every key that is needed.
 */
const MAX_AGE_SECONDS = 300

/** `GET /.well-known/jwks.json`: returns the public keys of all key IDs (RFC 7517 §5). A kid begins with its key ID. */
export function jwks(keys: KeyStore): Handler {
  let current = { kids: '-', etag: '', body: '' }
  const render = () => {
    const published = keys.published
    const kids = published.map(({ kid }) => kid).join()
    if (kids !== current.kids) {
      const body = JSON.stringify(publicJwks(published))
      current = { kids, etag: `"${createHash('sha256').update(body).digest('base64url')}"`, body }
    }
    return current
  }
  return (request, response) => {
    const { etag, body } = render()
    response.setHeader('etag', etag).setHeader('cache-control', `public, max-age=${MAX_AGE_SECONDS}`)
    // RFC 9110 §13.1.2: a list with weak comparison.
    const known = (request.headers['if-none-match'] ?? '')
      .split(',')
      .map((tag) => tag.trim().replace(/^W\//, ''))
    if (known.includes(etag) || known.includes('*')) return void response.writeHead(304).end()
    response
      .writeHead(200, {
        'content-type': 'application/jwk-set+json',
        'content-length': Buffer.byteLength(body),
      })
      .end(body)
  }
}
