import http, { type RequestListener } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { publicJwks } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'

/** A server of documents that behaves as a test says: a good OpenID provider, unless it is changed. */
export interface TestProvider {
  /** `http://localhost:PORT` */
  readonly url: string
  /** The paths of the requests, in their order. */
  readonly requests: readonly string[]
  readonly stop: () => void
}

export interface TestProviderOptions {
  /** Replaces members of the discovery document; undefined removes one. Gets the URL of the server. */
  readonly metadata?: (url: string) => Readonly<Record<string, unknown>>
  readonly keys?: unknown
  /** Replaces answers by path. */
  readonly routes?: Readonly<Record<string, RequestListener>>
  /** Sent with the documents. */
  readonly headers?: Readonly<Record<string, string>>
  /** The path of the issuer. */
  readonly path?: string
  readonly server?: (listener: RequestListener) => Server
}

export async function startTestProvider(options: TestProviderOptions = {}): Promise<TestProvider> {
  const { routes = {}, headers = {}, path = '', metadata = () => ({}) } = options
  const requests: string[] = []
  const listener: RequestListener = (request, response) => {
    const asked = request.url as string
    requests.push(`${request.method} ${asked}`)
    const own = routes[asked]
    if (own) return void own(request, response)
    const json = documents[asked]
    response.writeHead(json === undefined ? 404 : 200, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(json ?? { error: 'not_found' }))
  }
  const server = (options.server ?? http.createServer)(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const scheme = options.server ? 'https' : 'http'
  const url = `${scheme}://localhost:${(server.address() as AddressInfo).port}`
  const documents: Record<string, unknown> = {
    [`${path}/.well-known/openid-configuration`]: { ...goodMetadata(url + path), ...metadata(url) },
    '/keys': options.keys ?? publicJwks([testKey('RS256', 'key-1')]),
  }
  return {
    url,
    requests,
    stop: () => {
      if ('closeAllConnections' in server) (server as http.Server).closeAllConnections()
      server.close()
    },
  }
}

const goodMetadata = (issuer: string) => {
  const { origin } = new URL(issuer)
  return {
    issuer,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    jwks_uri: `${origin}/keys`,
    userinfo_endpoint: `${origin}/userinfo`,
    end_session_endpoint: `${origin}/logout`,
    revocation_endpoint: `${origin}/revoke`,
    introspection_endpoint: `${origin}/introspect`,
    backchannel_logout_supported: true,
    authorization_response_iss_parameter_supported: true,
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
  }
}
