import { createHash } from 'node:crypto'
import { publicJwks } from '@hallpass/tokens'
import type { RequestHandler } from 'express'
import type { KeyStore } from '../key-store.ts'

/**
 * Five minutes, the time that caches commonly keep a key set. The next key is published a whole rotation before it
 * signs, and a retired one outlives its last token, so a copy of this age has every key that it needs.
 */
const MAX_AGE_SECONDS = 300

/** `GET /.well-known/jwks.json`: the public keys of all key ids (RFC 7517 §5). A kid begins with its key id. */
export function jwks(keys: KeyStore): RequestHandler {
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
    // RFC 9110 §13.1.2: a list, whose entries compare weakly.
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
