import { join } from 'node:path'
import type { Page } from 'playwright-core'
import type { Provider, ProviderUser } from './provider.ts'
import { ProviderProcess, peersFolder } from './provider-process.ts'

export const oidcProviderMock = join(peersFolder, 'oidc-provider-mock/bin/oidc-provider-mock')

const ACCESS_TOKEN_SECONDS = 8
const ADA: ProviderUser = { login: 'ada', password: '', name: 'Ada Okafor' }

/** Authlib's mock provider, as `docs/providers/authlib.md` documents it. */
export const authlib: Provider = {
  name: 'oidc-provider-mock (Authlib)',
  lacks: {
    'JWT access tokens': 'its access tokens are random strings, and it has no introspection endpoint',
    'scopes per user': 'it knows only the standard scopes of OpenID Connect',
    'key rotation': 'a new key needs a restart, which forgets all refresh tokens',
    logout: 'its logout page always asks, and a test of its own confirms it',
    sessions: 'it has no sessions: each login shows its form',
    'back-channel logout': 'it sends no logout tokens',
  },
  async start({ publicPort, port }) {
    // The server takes its issuer from the Host header of a request.
    const issuer = `http://localhost:${publicPort}`
    const server = new ProviderProcess(
      oidcProviderMock,
      [
        ...['--port', `${port}`, '--token-max-age', `${ACCESS_TOKEN_SECONDS}`],
        ...['--user-claims', JSON.stringify({ sub: ADA.login, name: ADA.name, email: 'ada@example.com' })],
      ],
      `http://127.0.0.1:${port}/`,
    )
    await server.start({ NO_COLOR: '1' })
    return {
      issuer,
      accessTokenSeconds: ACCESS_TOKEN_SECONDS,
      users: { both: ADA, onlyData: ADA },
      webUi: {
        ISSUER_BASE_URL: issuer,
        AUTH0_CLIENT_ID: 'web-ui',
        AUTH0_SECRET: 'any-because-it-checks-none',
        SCOPE: 'openid profile email',
      },
      backend: { ISSUER: issuer, AUDIENCE: 'web-ui' },
      async logIn(page: Page, { login }: ProviderUser) {
        await page.getByPlaceholder('sub').fill(login)
        await page.getByRole('button', { name: 'Authorize' }).click()
      },
      showsLogin: (page: Page) => page.getByRole('heading', { name: 'Authorize Client' }).waitFor(),
      /** A restart: the provider makes a new key, and forgets all tokens. */
      async rotateKeys() {
        await server.kill()
        await server.start({ NO_COLOR: '1' })
      },
      stop: () => server.kill(),
    }
  },
}
