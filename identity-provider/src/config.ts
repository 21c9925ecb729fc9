import { join } from 'node:path'
import { commonConfig, type Environment, readConfig, storeConfig } from '@hallpass/service-kit'

/** Short, so that users can watch a refresh; limits the use of a stolen access token to two minutes. */
const ACCESS_TOKEN_TTL_S = 120
/** Longer, because behind a gateway, every request carries the ID token; otherwise it is read once, at login. */
const ID_TOKEN_TTL_S = 600
/** A working day. */
const SESSION_TTL_S = 8 * 3600

/** What replicas on several machines must have in common, by variable. */
const SHARED_FILES = [
  ['KEYS_FILE', 'the signing keys'],
  ['COOKIE_SECRET_FILE', 'the secret that signs the cookies and encrypts the logins'],
] as const

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    variables.require(
      !common.production || variables.optionalText('ALLOW_PRODUCTION') !== undefined,
      'this identity provider lets anyone log in as any user, so it is only for development; to start it with ' +
        'NODE_ENV=production, set ALLOW_PRODUCTION to the reason',
    )
    const folder = join(common.stateFolder, 'identity-provider')
    const store = storeConfig(variables, join(folder, 'logins'))
    if (store.redis !== undefined)
      for (const [name, what] of SHARED_FILES)
        variables.require(
          variables.optionalText(name) !== undefined,
          `${name} is required with REDIS_URL: a file with ${what}, the same for all replicas; the first start makes it`,
        )
    return {
      ...common,
      port: variables.port('PORT', 9000),
      /** The `iss` of every token, and the URL at which browsers and services reach this process. */
      issuer: variables.trustedUrl('ISSUER', 'http://localhost:9000'),
      webUiUrl: variables.trustedUrl('WEB_UI_URL', 'http://localhost:4000'),
      clientId: variables.text('CLIENT_ID', 'web-ui'),
      /** Shared with the web UI. Whichever of the two starts first creates the secret. */
      clientSecretFile: variables.text('CLIENT_SECRET_FILE', join(folder, 'web-ui-client-secret')),
      /** Where the logins are: sessions, codes, refresh tokens. */
      store,
      keysFile: variables.text('KEYS_FILE', join(folder, 'keys.json')),
      /** Signs the cookies and encrypts the logins. */
      cookieSecretFile: variables.text('COOKIE_SECRET_FILE', join(folder, 'cookie-secret')),
      /** The API for which access tokens are issued (RFC 8707); their `aud`. */
      audience: variables.text('AUDIENCE', 'https://webui'),
      /** A JSON file with other users than the built-in ones. */
      usersFile: variables.optionalText('USERS_FILE'),
      assetsFolder: variables.text('ASSETS_FOLDER', 'web-ui/public'),
      accessTokenTtlSeconds: variables.seconds('ACCESS_TOKEN_TTL_S', ACCESS_TOKEN_TTL_S, { min: 1 }),
      idTokenTtlSeconds: variables.seconds('ID_TOKEN_TTL_S', ID_TOKEN_TTL_S, { min: 1 }),
      sessionTtlSeconds: variables.seconds('SESSION_TTL_S', SESSION_TTL_S, { min: 1 }),
    }
  })

export type Config = ReturnType<typeof loadConfig>
