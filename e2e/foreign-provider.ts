import http from 'node:http'

export interface ForeignProvider {
  readonly port: number
  readonly audience: string
  readonly clientId: string
  readonly clientSecret: string
  /** The URL of the client. */
  readonly url: string
}

/**
 * An OpenID provider with oidc-provider's defaults: its own pages and keys, consent, and claims only at `userinfo`. Its
 * warnings about these defaults are suppressed.
 */
export async function startForeignProvider(
  options: ForeignProvider,
): Promise<{ issuer: string; stop(): void }> {
  const { port, audience, clientId, clientSecret, url } = options
  const { info, warn } = console
  const unlessOf = (print: typeof warn) => (text: unknown) =>
    String(text).startsWith('oidc-provider ') || print(text)
  Object.assign(console, { info: unlessOf(info), warn: unlessOf(warn) })

  const { Provider } = await import('oidc-provider')
  const issuer = `http://localhost:${port}`
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [`${url}/callback`],
        post_logout_redirect_uris: [`${url}/`],
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    features: {
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ audience, scope: '', accessTokenFormat: 'jwt' as const }),
      },
    },
  })
  const server = http.createServer(provider.callback())
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    issuer,
    stop() {
      Object.assign(console, { info, warn })
      server.closeAllConnections()
      server.close()
    },
  }
}
