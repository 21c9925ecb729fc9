import { join } from 'node:path'
import { callerGuard } from '@hallpass/callers'
import { httpListeners } from '@hallpass/certificates'
import {
  type Clock,
  type HttpService,
  httpService,
  jsonBody,
  type Logger,
  Metrics,
  systemClock,
} from '@hallpass/service-kit'
import type { Config } from './config.ts'
import { KeyFiles } from './key-files.ts'
import { KeyStore } from './key-store.ts'
import {
  IssuedTokens,
  introspect,
  metadata,
  metadataPaths,
  OAUTH_ENDPOINTS,
  oauthErrors,
  oauthForm,
  postOnly,
  revoke,
  token,
  tokenIssuer,
} from './oauth/index.ts'
import { RevokedTokens } from './revoked-tokens.ts'
import { createOrRotateKey, getOrCreateKey } from './routes/create-key.ts'
import { dumpKeys } from './routes/dump-keys.ts'
import { issueToken } from './routes/issue-token.ts'
import { jwks } from './routes/jwks.ts'
import { listKeyStates, listKeys } from './routes/list-keys.ts'
import { publicKey } from './routes/public-key.ts'
import { verifyIssuedToken } from './routes/verify-token.ts'

export { loadConfig } from './config.ts'

const NAME = 'jwt-factory'

/** Creates the central issuer, which signs tokens for services and verifies tokens for them. */
export async function createApp(
  config: Config,
  log: Logger,
  clock: Clock = systemClock,
): Promise<HttpService> {
  const { algorithm, clockToleranceSeconds, issuer, library, tokenLifetimeSeconds } = config
  const callers = callerGuard(config.callers, issuer, { clock })
  const keys = new KeyStore({
    algorithm,
    clock,
    onFailure: (err) => log.error({ err }, 'the next key could not be created; the next rotation retries'),
    // Verifiers may already know the key, so it must survive a restart.
    onPublished: (ring) =>
      files.saveNext(ring).catch((err: unknown) => log.error({ err }, 'the next key could not be saved')),
  })
  const folder = join(config.stateFolder, 'keys')
  const files = new KeyFiles({ folder, algorithm, tokenLifetimeSeconds, clock, log })
  const revoked = new RevokedTokens(clock, clockToleranceSeconds)
  const tokens = new IssuedTokens({
    keys,
    revoked,
    issuer,
    maxLifetimeSeconds: tokenLifetimeSeconds,
    leewaySeconds: clockToleranceSeconds,
    clock,
    library,
  })

  const metrics = new Metrics(NAME)
  const issued = metrics.counter('tokens_issued_total', 'Tokens signed, by key ID.', ['key_id'])
  const outcomes = metrics.counter(
    'token_verifications_total',
    'Tokens verified, by outcome: valid, or the reason of the rejection.',
    ['outcome'],
  )

  const issue = tokenIssuer(keys, config, issued)

  await callers.load()
  await files.load(keys)
  log.info({ keyIds: keys.keyIds, folder: files.folder }, 'keys loaded')
  if (config.callers.mode === 'open')
    log.warn(
      { host: config.host },
      'OPEN: callers are not authenticated; anyone who reaches this address can get any service’s tokens. Outside development, set CALLERS=authenticated',
    )

  return httpService({
    name: NAME,
    log,
    config,
    metrics,
    listeners: httpListeners(config, log),
    shownParameters: ['expired'],
    routes: (app) => {
      app.post('/issueToken/:keyId', callers.known, jsonBody(), issueToken(issue, config))
      app.post(
        '/verify/:keyId',
        callers.known,
        jsonBody(),
        verifyIssuedToken(keys, revoked, config, clock, outcomes),
      )

      app.post('/token', oauthForm, callers.client, token(issue, config))
      app.post('/introspect', oauthForm, callers.client, introspect(tokens))
      app.post('/revoke', oauthForm, callers.client, revoke(tokens))
      app.all(OAUTH_ENDPOINTS, postOnly)
      app.use(OAUTH_ENDPOINTS, oauthErrors)

      app.get('/.well-known/jwks.json', jwks(keys))
      app.get(metadataPaths(issuer), metadata(config, callers))
      app.get('/utils/publicKey/:keyId', publicKey(keys))

      app.get('/keys/:keyId', callers.admin, getOrCreateKey(keys))
      app.post('/keys/:keyId', callers.admin, createOrRotateKey(keys, files))
      app.get('/utils/keys', callers.admin, listKeys(keys))
      app.get('/utils/key-states', callers.admin, listKeyStates(keys))
      app.post(['/utils/dump', '/dump'], callers.admin, dumpKeys(keys, files))
    },
    onStop: () => files.stop(),
  })
}
