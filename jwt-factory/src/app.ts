import { join } from 'node:path'
import { callerGuard } from '@hallpass/callers'
import { httpListeners } from '@hallpass/certificates'
import { removeLeftParts } from '@hallpass/private-files'
import {
  type Clock,
  type HttpService,
  httpService,
  jsonBody,
  type Logger,
  Metrics,
  systemClock,
} from '@hallpass/service-kit'
import { openSigners } from '@hallpass/signers'
import { MAX_STATUS_LIST_TOKEN_LENGTH } from '@hallpass/tokens'
import { AuditLog, auditRefusals } from './audit/index.ts'
import type { Config } from './config.ts'
import { anyAlgorithm, KeyFiles, KeyStore, rotatingKeys } from './keys/index.ts'
import { FactoryMetrics } from './monitoring/index.ts'
import {
  IssuedTokens,
  introspect,
  metadata,
  metadataPaths,
  OAUTH_ENDPOINTS,
  oauthErrors,
  oauthForm,
  postOnly,
  requireClientCertificates,
  revoke,
  token,
  tokenIssuer,
} from './oauth/index.ts'
import { KeyRotation } from './rotation/index.ts'
import { createOrRotateKey, getOrCreateKey } from './routes/create-key.ts'
import { dumpKeys } from './routes/dump-keys.ts'
import { issueToken } from './routes/issue-token.ts'
import { jwks, jwksOfKeyId } from './routes/jwks.ts'
import { listKeys } from './routes/list-keys.ts'
import { publicKey } from './routes/public-key.ts'
import { showAudit } from './routes/show-audit.ts'
import { verifyIssuedToken } from './routes/verify-token.ts'
import { withdrawKey } from './routes/withdraw-key.ts'
import { IssuerState, type IssuerStateOptions, RevokedTokens } from './state/index.ts'
import { STATUS_LIST_KEY_ID, statusLists } from './status/index.ts'

export { loadConfig } from './config.ts'

const NAME = 'jwt-factory'

/** Replaces the configured store, for tests. */
export interface AppOptions extends Pick<IssuerStateOptions, 'makeStore'> {}

/** Creates the central issuer, which signs tokens for services and verifies tokens for them. */
export async function createApp(
  settings: Config,
  log: Logger,
  clock: Clock = systemClock,
  options: AppOptions = {},
): Promise<HttpService> {
  const config = { ...settings, library: anyAlgorithm(settings.library) }
  const { algorithm, clockToleranceSeconds, issuer, library, tokenLifetimeSeconds } = config
  const onFailure = (err: unknown, what: string) => log.error({ err }, what)
  const signers = await openSigners(config.signers)
  const state = await IssuerState.open({ ...options, store: config.store, clock, log })
  const callers = callerGuard(config.callers, issuer, { clock, log, usedAssertions: state.assertions })
  // Twice the tolerance: the clocks of the replica that signed and of the verifier may each differ from this one.
  const retiredForMs = 1000 * (tokenLifetimeSeconds + 2 * clockToleranceSeconds)
  const keys = new KeyStore({
    zone: state.keys,
    signers,
    algorithm,
    clock,
    retiredForMs,
    onFailure,
    onChanged: (ring) => files.update(keys, ring),
    onLoadedLate: () =>
      void files.load(keys).catch((err) => onFailure(err, 'the PEM files could not be imported')),
  })
  const folder = join(config.stateFolder, 'keys')
  const files = new KeyFiles({ folder, algorithm, signers, retiredForMs, clock, log })
  const revoked = new RevokedTokens({
    zone: state.revocations,
    clock,
    leewaySeconds: clockToleranceSeconds,
    onFailure,
  })
  const statuses = config.statusList
    ? statusLists({
        zone: state.statuses,
        issuer,
        listsUri: new URL(`${config.publicUrl ?? `http://localhost:${config.port}`}/status-lists/`).href,
        ttlSeconds: config.statusListTtlSeconds,
        maxLifetimeSeconds: tokenLifetimeSeconds,
        clock,
        sign: async (claims, times) => {
          await keys.getOrCreate(STATUS_LIST_KEY_ID)
          const maxLength = MAX_STATUS_LIST_TOKEN_LENGTH
          return keys.sign(STATUS_LIST_KEY_ID, claims, { ...times, library, maxLength })
        },
      })
    : undefined
  const tokens = new IssuedTokens({
    ...(statuses ? { statuses } : {}),
    keys,
    revoked,
    issuer,
    maxLifetimeSeconds: tokenLifetimeSeconds,
    leewaySeconds: clockToleranceSeconds,
    clock,
    library,
  })
  const metrics = new Metrics(NAME)
  const figures = new FactoryMetrics(metrics)
  const audit = new AuditLog({
    zone: state.audit,
    clock,
    log,
    onRecorded: (action) => figures.audited(action),
    onFailure: () => figures.auditWriteFailed(),
    onLost: (entries) => figures.auditLost(entries),
  })
  const recordScheduled = (action: 'published' | 'rotated', keyId: string, kid: string | undefined) =>
    audit.record({ action, actor: 'schedule', keyId, kid })
  const rotation = new KeyRotation({
    config: config.rotation,
    issuer,
    keys: rotatingKeys(keys, {
      onPublished: ({ keyId, next }) => recordScheduled('published', keyId, next?.kid),
      onRotated: ({ keyId, signing }) => recordScheduled('rotated', keyId, signing.kid),
    }),
    lease: (milliseconds) => state.leases.lease('rotation', milliseconds),
    clock,
    log,
    onOutcome: (outcome) => figures.rotationStep(outcome),
  })
  const stop = async () => {
    await rotation.stop()
    await keys.stop()
    await audit.stop()
    revoked.stop()
    await files.stop()
    await state.close()
    await signers.close()
  }

  const outcomes = metrics.counter(
    'token_verifications_total',
    'Tokens verified, by outcome: valid, or the reason of the rejection.',
    ['outcome'],
  )

  const issue = tokenIssuer(keys, config, figures, audit, statuses)

  try {
    await callers.load()
    requireClientCertificates(callers, config)
    for (const file of await removeLeftParts(config.stateFolder))
      log.warn({ file }, 'the rest of an interrupted write; removed')
    await keys.start()
    revoked.start()
    if (keys.isLoaded) await files.load(keys)
  } catch (error) {
    await stop()
    throw error
  }
  // Not awaited: an HSM that does not answer must not delay the start.
  void keys.warning().then((reason) => reason && log.error({ reason }, 'not every key can sign'))
  log.info({ keyIds: keys.keyIds.length, store: state.kind, folder }, 'keys loaded')
  if (config.callers.mode === 'open')
    log.warn(
      { host: config.host },
      'OPEN: callers are not authenticated; anyone who reaches this address can get any service’s tokens. Outside development, set CALLERS=authenticated',
    )

  figures.read({
    clock,
    store: state,
    keysZone: state.keys,
    signingSinceMs: () => keys.rings.map(({ signing }) => signing.stored.sinceMs),
    revocations: () => revoked.count,
    audit,
    rotation,
  })
  audit.start()
  rotation.start()
  const lists = listKeys(keys, clock, rotation)
  return httpService({
    name: NAME,
    log,
    config,
    metrics,
    warnings: { ...callers.warnings, keys: () => keys.warning() },
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
      app.post('/revoke', oauthForm, callers.client, revoke(tokens, audit))
      app.all(OAUTH_ENDPOINTS, postOnly)
      app.use(OAUTH_ENDPOINTS, oauthErrors)

      app.get('/.well-known/jwks.json', jwks(keys))
      if (statuses) {
        app.get('/status-lists', statuses.all)
        app.get('/status-lists/:id', statuses.one)
      }
      app.get(metadataPaths(issuer), metadata(config, callers))
      app.get('/utils/publicKey/:keyId', publicKey(keys))

      app.get('/keys/:keyId', callers.admin, getOrCreateKey(keys, audit))
      app.post('/keys/:keyId', callers.admin, createOrRotateKey(keys, audit))
      app.post('/keys/:keyId/withdraw', callers.admin, jsonBody(), withdrawKey(keys, audit))
      app.get('/keys/:keyId/jwks.json', jwksOfKeyId(keys))
      app.get('/utils/keys', callers.admin, lists.keyIds)
      app.get('/utils/key-states', callers.admin, lists.states)
      app.post(['/utils/dump', '/dump'], callers.admin, dumpKeys(keys, files, audit))
      app.get('/utils/audit', callers.admin, showAudit(audit))
      app.use(auditRefusals(audit))
    },
    checks: { state: () => state.check(), keys: () => keys.check(), signers: () => signers.check() },
    onStop: stop,
  })
}
