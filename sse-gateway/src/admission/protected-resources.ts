import { challenge } from '@hallpass/service-kit'
import { type AllowedOrigins, answerJson, corsHeaders, type RouteTable } from '../http/index.ts'

/** Returns the `WWW-Authenticate` value of a rejection, with the parameters of RFC 6750 §3. */
export type Challenge = (parameters?: Readonly<Record<string, string>>) => string

export interface ProtectedResourcesOptions {
  readonly realm: string
  /**
   * Returns the origin under which clients reach this gateway, from its configuration. It is never taken from the `Host`
   * of a request: whoever chose that host would choose the authorization servers that the client trusts (RFC 9728 §7.3).
   */
  readonly publicUrl: () => string
  readonly origins: AllowedOrigins
  /** Whether tokens are also accepted in the query. */
  readonly queryTokens: boolean
}

interface Rule {
  readonly issuers: readonly { readonly issuer: string }[]
  readonly scopes: readonly string[]
}

const WELL_KNOWN = '/.well-known/oauth-protected-resource'
/** Ten minutes, as for preflights: a changed configuration takes effect soon. */
const MAX_AGE_SECONDS = 600

/**
 * Tells clients where to get a token (RFC 9728): each path has a metadata document, whose URL is in the challenges of the
 * path's rejections.
 */
export class ProtectedResources {
  readonly #options: ProtectedResourcesOptions
  readonly #rules = new Map<string, Rule>()

  constructor(options: ProtectedResourcesOptions) {
    this.#options = options
  }

  /** Adds a path; returns the challenge of its rejections. */
  add(path: string, rule: Rule): Challenge {
    const { realm, publicUrl } = this.#options
    this.#rules.set(path, rule)
    return (parameters) =>
      challenge(realm, { ...parameters, resource_metadata: `${publicUrl()}${WELL_KNOWN}${path}` })
  }

  /** Returns the routes of the documents: one for each path, and one for the gateway with all of them. */
  routes(): RouteTable {
    const rules = [...this.#rules.values()]
    const all = {
      issuers: rules.flatMap(({ issuers }) => issuers),
      scopes: rules.flatMap(({ scopes }) => scopes),
    }
    return Object.fromEntries(
      [['', all] as const, ...this.#rules].map(([path, rule]) => [
        WELL_KNOWN + path,
        { GET: this.#document(path, rule) },
      ]),
    )
  }

  #document(path: string, { issuers, scopes }: Rule): RouteTable[string][string] {
    const { publicUrl, origins, queryTokens, realm } = this.#options
    // An issuer identifier is a URL (RFC 8414 §2); an `iss` that is none leads to no metadata.
    const servers = new Set(issuers.map(({ issuer }) => issuer).filter((issuer) => URL.canParse(issuer)))
    return (exchange) =>
      answerJson(
        exchange,
        200,
        {
          resource: publicUrl() + path,
          resource_name: realm,
          ...(servers.size > 0 ? { authorization_servers: [...servers] } : {}),
          ...(scopes.length > 0 ? { scopes_supported: [...new Set(scopes)] } : {}),
          bearer_methods_supported: queryTokens ? ['header', 'query'] : ['header'],
        },
        { ...corsHeaders(exchange, origins), 'cache-control': `public, max-age=${MAX_AGE_SECONDS}` },
      )
  }
}
