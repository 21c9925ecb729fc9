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

/** Twice a second: a proxy that comes back is used within half a second, for a request that costs it nothing. */
const CHECK_MS = 500
/** Each connection holds some 20 KB here and one more connection behind. */
const MAX_CONNECTIONS = 10_000
/** Five minutes for an upload; what comes slower is an attack, or should come in parts. */
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
      `REMOTE_USER_FROM=anyone lets every caller be every user, so it needs a loopback HOST (it is ${common.host}) and NODE_ENV other than production`,
    )
    const proxyUrls = variables.list('PROXY_URLS', ['http://localhost:8080', 'http://localhost:8081'])
    for (const url of proxyUrls)
      variables.require(
        URL.canParse(url) && /^https?:/.test(url),
        `PROXY_URLS must be http or https URLs, but has ${url}`,
      )
    variables.require(proxyUrls.length > 0, 'PROXY_URLS must name at least one proxy')
    return {
      ...common,
      port: variables.port('PORT', 8000),
      proxyUrls,
      /** On a development start the caller says who it is, in place of a login; elsewhere its token says so. */
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
