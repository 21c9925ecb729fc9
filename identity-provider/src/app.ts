import { randomBytes } from 'node:crypto'
import { Assets } from '@hallpass/pages'
import { readOrCreateSecret } from '@hallpass/private-files'
import { formBody, httpService, type Logger } from '@hallpass/service-kit'
import { SealedStore } from '@hallpass/token-store'
import type { Config } from './config.ts'
import { LoginStore, MAX_ENTRIES } from './login-store.ts'
import { loadOidcLibrary } from './oidc-library.ts'
import { providerPages } from './pages/index.ts'
import { createProvider } from './provider.ts'
import { openidConnect } from './routes/end-session.ts'
import { renderProblem } from './routes/render-problem.ts'
import { sendPicture } from './routes/send-picture.ts'
import { cancelSignIn, showSignIn, signIn } from './routes/sign-in.ts'
import { loadSigningKeys } from './signing-keys.ts'
import { Users } from './users.ts'

export { loadConfig } from './config.ts'

/** The form of the login page has one short field. */
const MAX_FORM_BYTES = 1024

const newSecret = () => randomBytes(32).toString('base64url')

export async function createApp(config: Config, log: Logger) {
  const users = config.usersFile === undefined ? new Users() : Users.fromFile(config.usersFile)
  const assets = new Assets(config.assetsFolder)
  const form = formBody({ maxBytes: MAX_FORM_BYTES })
  const [library, keys, clientSecret, cookieSecret] = await Promise.all([
    loadOidcLibrary(log),
    loadSigningKeys(config.keysFile),
    readOrCreateSecret(config.clientSecretFile, newSecret),
    readOrCreateSecret(config.cookieSecretFile, newSecret),
  ])
  const pages = providerPages(assets, config.webUiUrl)
  const store = await SealedStore.open({
    place: config.store,
    name: 'identity-provider',
    secret: cookieSecret,
    scope: config.issuer,
    common: { COOKIE_SECRET_FILE: cookieSecret, KEYS_FILE: keys.map(({ kid }) => kid).join(' ') },
    maxEntries: MAX_ENTRIES,
    onNotice: (notice) => log.warn(notice),
    remedy: 'Delete it: all users must log in again.',
  })
  const grantTtlSeconds = config.sessionTtlSeconds
  const logins = new LoginStore({ store, library, grantTtlSeconds })
  const provider = createProvider({ library, config, users, logins, keys, clientSecret, cookieSecret, pages })
  provider.on('server_error', (_ctx, error) => log.error({ err: error }, 'server error'))
  provider.on('backchannel.error', (_ctx, error, client) =>
    log.warn({ client: client.clientId }, `back-channel logout failed: ${error.message}`),
  )
  provider.on('grant.error', (ctx, error) =>
    log.warn({ error: error.error, client: ctx.oidc.client?.clientId }, error.message),
  )

  return httpService({
    name: 'identity-provider',
    log,
    config,
    listeners: [{ name: 'http', host: config.host, port: config.port }],
    contentSecurityPolicy: false,
    checks: { logins: () => store.check() },
    onStop: () => store.close(),
    routes: (routes) => {
      routes.use(assets.mountedAt, assets.routes)
      routes.get('/pictures/:user.svg', sendPicture(users))
      routes.get('/interaction/:uid', showSignIn(provider, users, assets, config.webUiUrl))
      routes.post('/interaction/:uid/sign-in', form, signIn(provider, users))
      routes.post('/interaction/:uid/cancel', cancelSignIn(provider))
      // All other OpenID Connect endpoints: /.well-known/…, /auth, /token, /jwks, /session/end, …
      routes.use(openidConnect(provider))
      routes.use(renderProblem(assets, config.webUiUrl))
    },
  })
}
