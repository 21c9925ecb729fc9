import { quoted } from '@hallpass/private-files'
import type { Discovery } from './discover.ts'
import type { Examined } from './metadata-findings.ts'

export interface SettingsOptions {
  readonly issuer: string
  readonly audience?: string | undefined
  readonly clientId?: string | undefined
  readonly caFile?: string | undefined
  readonly hasLogin: boolean
  /** Set for the services; by default they accept all. */
  readonly algorithms?: readonly string[] | undefined
}

/** Lines for the environment of services, ready to copy into a shell, by service. */
export type Settings = Readonly<Record<string, readonly string[]>>

/** Suggests settings. Every value of the issuer is quoted, because a shell reads these lines. */
export function settingsFor(kind: Discovery['kind'], examined: Examined, options: SettingsOptions): Settings {
  const { issuer, audience, clientId, caFile, hasLogin, algorithms } = options
  const { endpoints, clientAuth, scope } = examined
  const line = (name: string, value: string) => `${name}=${quoted(value)}`
  const common = [
    ...(algorithms === undefined ? [] : [line('TOKEN_ALGORITHMS', algorithms.join(','))]),
    ...(caFile === undefined ? [] : [line('NODE_EXTRA_CA_CERTS', caFile)]),
  ]
  const verifier = [line('ISSUER', issuer), line('AUDIENCE', audience ?? 'YOUR_AUDIENCE')]
  const jwks = endpoints.jwks_uri === undefined ? [] : [line('JWKS_URL', endpoints.jwks_uri)]
  const login = [
    'SHOULD_AUTHENTICATE=true',
    line('ISSUER_BASE_URL', issuer),
    line('AUTH0_CLIENT_ID', clientId ?? 'YOUR_CLIENT_ID'),
    ...(clientAuth?.startsWith('client_secret') ? ['AUTH0_SECRET_FILE=YOUR_SECRET_FILE'] : []),
    ...(clientAuth === 'private_key_jwt' ? ['CLIENT_KEY_FILE=YOUR_KEY_FILE'] : []),
    ...(clientAuth === undefined || clientAuth === 'client_secret_basic'
      ? []
      : [line('CLIENT_AUTH', clientAuth)]),
    line('SCOPE', scope),
    ...(audience === undefined ? [] : [line('AUDIENCE', audience)]),
    ...common,
  ]
  return {
    ...(hasLogin && kind === 'openid' ? { 'web-ui': login } : {}),
    'backend-api': ['ACCESS=guarded', ...verifier, ...(kind === 'openid' ? [] : jwks), ...common],
    // Required there in production.
    'sse-gateway': [...verifier, ...jwks, ...common],
  }
}
