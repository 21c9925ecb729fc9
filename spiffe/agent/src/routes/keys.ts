import type { Handler } from '@hallpass/service-kit'
import { publicJwk } from '@hallpass/tokens'
import type { JwtAuthority } from '../authorities/index.ts'

/** `GET /keys`: returns the JWT authorities as a JWK Set (RFC 7517 §5). Not cacheable, because of rotations. */
export function keys(authorities: () => readonly JwtAuthority[], use: 'sig' | 'none'): Handler {
  return (_request, response) => {
    const jwks = authorities().map(({ key }) => {
      const { use: sig, ...jwk } = publicJwk(key)
      return use === 'none' ? jwk : { ...jwk, use: sig }
    })
    response.set('cache-control', 'no-cache').json({ keys: jwks })
  }
}
