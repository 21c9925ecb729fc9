import {
  commonConfig,
  type Environment,
  isLoopback,
  MAX_TIMER_SECONDS,
  readConfig,
  tlsConfig,
} from '@hallpass/service-kit'
import { tierTrustConfig } from '@hallpass/tier-trust'

export type Config = ReturnType<typeof loadConfig>

/** Twice a second: a proxy that recovers is used within half a second, and a check costs it almost nothing. */
const CHECK_MS = 500
/** Each connection takes about 20 KB here and one more connection to a proxy. */
const MAX_CONNECTIONS = 10_000
/** Five minutes for an upload; a slower one is an attack or should be sent in parts. */
const REQUEST_TIMEOUT_SECONDS = 300

export const loadConfig = (env: Environment) =>
  readConfig(env, (variables) => {
    const common = commonConfig(variables)
    const mayTrustAnyone = isLoopback(common.host) && !common.production
    const remoteUserFrom = variables.oneOf(
      'REMOTE_USER_FROM',
      ['anyone', 'nobody'],
      mayTrustAnyone ? 'anyone' : 'nobody',
    )
    variables.require(
      remoteUserFrom === 'nobody' || mayTrustAnyone,
      `REMOTE_USER_FROM=anyone allows any caller to be any user, so HOST must be a loopback address (it is ${common.host}) and NODE_ENV must not be production`,
    )
    const proxyUrls = variables.list('PROXY_URLS', ['http://localhost:8080', 'http://localhost:8081'])
    for (const url of proxyUrls)
      variables.require(
        URL.canParse(url) && /^https?:/.test(url),
        `PROXY_URLS must be http or https URLs, but contains ${url}`,
      )
    for (const url of proxyUrls) variables.requireTrusted('PROXY_URLS', url)
    variables.require(proxyUrls.length > 0, 'PROXY_URLS must contain at least one URL')
    return {
      ...common,
      port: variables.port('PORT', 8000),
      proxyUrls,
      /** In development mode, callers set `remote-user` instead of logging in; in production, they send tokens. */
      remoteUserFrom,
      secure: variables.flag('TLS', common.production),
      tls: tlsConfig(variables, common),
      trust: tierTrustConfig(variables, common),
      checkMs: variables.milliseconds('CHECK_MS', CHECK_MS, { min: 50, max: 60_000 }),
      maxConnections: variables.integer('MAX_CONNECTIONS', MAX_CONNECTIONS, { min: 1 }),
      requestTimeoutMs:
        1000 *
        variables.seconds('REQUEST_TIMEOUT_SECONDS', REQUEST_TIMEOUT_SECONDS, { max: MAX_TIMER_SECONDS }),
    }
  })
