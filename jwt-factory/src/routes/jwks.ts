import { createHash } from 'node:crypto'
import { type Handler, notFound } from '@hallpass/service-kit'
import { publicJwk } from '@hallpass/tokens'
import type { Request, Response } from 'express'
import { type KeyStore, keyIdOf, type RingKey } from '../keys/index.ts'

/**
 * How long a verifier may use its copy, and so how long it may accept a key after it was withdrawn. With the ETag, asking
 * again costs a 304 of 200 bytes.
 */
const MAX_AGE_SECONDS = 60

/**
 * `GET /.well-known/jwks.json`: returns the public keys (RFC 7517 §5) of the key IDs that changed last, as many as verifiers
 * accept in one set. With `?kid=…`, those of the key ID of that kid, so that every key can be found from its token.
 */
export function jwks(keys: KeyStore): Handler {
  let rendered = { kids: '-', body: '' }
  return async (request, response) => {
    const { kid } = request.query
    if (typeof kid === 'string') {
      const found = await keys.find(kid)
      const ring = found && (await keys.get(found.keyId))
      if (!ring) throw notFound('key_not_found', 'No key has this kid.')
      send(request, response, JSON.stringify({ keys: keys.publishedOf(ring).map(jwkOf) }))
      return
    }
    await keys.current()
    const { keys: published } = keys.published()
    const kids = published.map((key) => key.kid).join()
    if (kids !== rendered.kids) rendered = { kids, body: JSON.stringify({ keys: published.map(jwkOf) }) }
    send(request, response, rendered.body)
  }
}

/** `GET /keys/:keyId/jwks.json`: returns the public keys of one key ID. */
export function jwksOfKeyId(keys: KeyStore): Handler {
  return async (request, response) => {
    const ring = await keys.existing(keyIdOf(request))
    send(request, response, JSON.stringify({ keys: keys.publishedOf(ring).map(jwkOf) }))
  }
}

function send(request: Request, response: Response, body: string): void {
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
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

const exported = new WeakMap<RingKey, ReturnType<typeof publicJwk>>()

/** Exporting a key costs more than the rest of a request, so it is done once. */
function jwkOf(key: RingKey): ReturnType<typeof publicJwk> {
  let jwk = exported.get(key)
  if (!jwk) {
    jwk = publicJwk(key)
    exported.set(key, jwk)
  }
  return jwk
}
