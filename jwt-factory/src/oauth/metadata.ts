import { type Handler, sendJson } from '@hallpass/service-kit'
import type { Config } from '../config.ts'

/** `GET /.well-known/oauth-authorization-server` (RFC 8414 §2): returns the URLs of this issuer's keys and endpoints. */
export function metadata({ issuer, publicUrl, callers }: Config): Handler {
  const methods = callers.mode === 'open' ? ['none'] : ['private_key_jwt']
  return (request, response) => {
    // Never from the Host header, which the caller controls.
    const base = publicUrl ?? `http://localhost:${request.socket.localPort}`
    sendJson(response, 200, {
      issuer,
      jwks_uri: `${base}/.well-known/jwks.json`,
      introspection_endpoint: `${base}/introspect`,
      introspection_endpoint_auth_methods_supported: methods,
      revocation_endpoint: `${base}/revoke`,
      revocation_endpoint_auth_methods_supported: methods,
      // Tokens are issued by /issueToken; there are no OAuth flows.
      response_types_supported: [],
      grant_types_supported: [],
    })
  }
}
