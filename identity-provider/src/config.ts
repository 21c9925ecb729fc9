import { join } from 'node:path'
import { commonConfig, type Environment, readConfig } from '@hallpass/service-kit'

/** Short, so that a refresh is seen while one watches; a stolen access token is of use for two minutes. */
const ACCESS_TOKEN_TTL_S = 120
/** The ID token is read once, at login; behind a gateway it is what each request carries. */
const ID_TOKEN_TTL_S = 600
/** A working day. */
const SESSION_TTL_S = 8 * 3600

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    variables.require(
      !common.production || variables.optionalText('ALLOW_PRODUCTION') !== undefined,
      'this identity provider lets anybody be anyone and is for development: with NODE_ENV=production it starts ' +
        'only when ALLOW_PRODUCTION says why',
    )
    const folder = join(common.stateFolder, 'identity-provider')
    return {
      ...common,
      port: variables.port('PORT', 9000),
      /** The `iss` of every token; the address under which browsers and services reach this process. */
      issuer: variables.url('ISSUER', 'http://localhost:9000'),
      webUiUrl: variables.url('WEB_UI_URL', 'http://localhost:4000'),
      clientId: variables.text('CLIENT_ID', 'web-ui'),
      /** Whoever of the two starts first makes the secret; the web UI reads it from the same file. */
      clientSecretFile: variables.text('CLIENT_SECRET_FILE', join(folder, 'web-ui-client-secret')),
      keysFile: join(folder, 'keys.json'),
      cookieSecretFile: join(folder, 'cookie-secret'),
      /** The API for which access tokens are made (RFC 8707); `aud` of each. */
      audience: variables.text('AUDIENCE', 'https://webui'),
      /** A JSON file with other people than the built-in ones. */
      usersFile: variables.optionalText('USERS_FILE'),
      assetsFolder: variables.text('ASSETS_FOLDER', 'web-ui/public'),
      accessTokenTtlSeconds: variables.seconds('ACCESS_TOKEN_TTL_S', ACCESS_TOKEN_TTL_S, { min: 1 }),
      idTokenTtlSeconds: variables.seconds('ID_TOKEN_TTL_S', ID_TOKEN_TTL_S, { min: 1 }),
      sessionTtlSeconds: variables.seconds('SESSION_TTL_S', SESSION_TTL_S, { min: 1 }),
    }
  })

export type Config = ReturnType<typeof loadConfig>
