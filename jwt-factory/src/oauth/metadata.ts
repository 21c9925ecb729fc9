import type { TLSSocket } from 'node:tls'
import type { CallerGuard } from '@hallpass/callers'
import { type Handler, sendJson } from '@hallpass/service-kit'
import { SCHEMES } from '@hallpass/tokens'
import type { Config } from '../config.ts'

const WELL_KNOWN = '/.well-known/oauth-authorization-server'
/** The methods with an assertion, whose algorithms the metadata must list (RFC 8414 §2). */
const ASSERTION_METHODS = ['private_key_jwt', 'spiffe_jwt']
const ALGORITHMS = Object.keys(SCHEMES)

/** Returns the paths of the metadata: for an issuer with a path, also the one that RFC 8414 §3.1 derives from it. */
export function metadataPaths(issuer: string): string[] {
  const path = URL.canParse(issuer) ? new URL(issuer).pathname.replace(/\/$/, '') : ''
  return path === '' ? [WELL_KNOWN] : [WELL_KNOWN, literal(`${WELL_KNOWN}${path}`)]
}

/** Escapes what Express gives a meaning in a path. */
const literal = (path: string) => path.replace(/[{}()[\]+?!:*\\]/g, '\\$&')

/**
 * `GET /.well-known/oauth-authorization-server` (RFC 8414 §2): returns the URLs of this issuer's keys and endpoints, and how
 * clients authenticate there now. There is no OpenID configuration, because there are no ID tokens.
 */
export function metadata(
  { issuer, publicUrl, mtlsUrl, statusList }: Config,
  callers: Pick<CallerGuard, 'authentication'>,
): Handler {
  return (request, response) => {
    const { localPort, encrypted } = request.socket as TLSSocket
    // Never from the Host header, which the caller controls.
    const base = publicUrl ?? `${encrypted ? 'https' : 'http'}://localhost:${localPort}`
    const { methods, scopes } = callers.authentication()
    // A certificate can authenticate a client only on a TLS connection to this process.
    const usable = methods.filter(
      (method) => method !== 'tls_client_auth' || mtlsUrl !== undefined || base.startsWith('https:'),
    )
    const endpoints = { token: '/token', introspection: '/introspect', revocation: '/revoke' }
    const urls = (root: string) =>
      Object.fromEntries(Object.entries(endpoints).map(([name, path]) => [`${name}_endpoint`, root + path]))
    const supported = Object.keys(endpoints).map((name) => [
      [`${name}_endpoint_auth_methods_supported`, usable],
      ...(usable.some((method) => ASSERTION_METHODS.includes(method))
        ? [[`${name}_endpoint_auth_signing_alg_values_supported`, ALGORITHMS]]
        : []),
    ])
    sendJson(response, 200, {
      issuer,
      jwks_uri: `${base}/.well-known/jwks.json`,
      ...urls(base),
      ...Object.fromEntries(supported.flat()),
      // RFC 8705 §5: where to connect with a certificate, if it is not where all others connect.
      ...(mtlsUrl === undefined ? {} : { mtls_endpoint_aliases: urls(mtlsUrl) }),
      ...(scopes.length > 0 ? { scopes_supported: scopes } : {}),
      ...(statusList ? { status_list_aggregation_endpoint: `${base}/status-lists` } : {}),
      grant_types_supported: ['client_credentials'],
      // Required (RFC 8414 §2), and empty: there is no authorization endpoint.
      response_types_supported: [],
    })
  }
}
