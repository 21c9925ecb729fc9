import { readFileSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { explainExposure } from '@hallpass/private-files'
import { type Clock, systemClock, type VariableReader } from '@hallpass/service-kit'
import {
  type Algorithm,
  importSigningKey,
  KeyError,
  type SignatureAlgorithm,
  type SigningKey,
  signToken,
} from '@hallpass/tokens'

/** Returns the value of the `Authorization` header for one call. */
export type Authorization = () => Promise<string>

/** The call starts immediately; the rest allows for clock skew. */
const ASSERTION_LIFETIME_SECONDS = 30
/** The kubelet and SPIFFE's file helper renew a token minutes before it expires; a replaced key is used within this time. */
const FILE_MAX_AGE_MS = 10_000

/**
 * Authenticates with the caller's own key: creates a client assertion (RFC 7523 §2.2) for each call, whose only audience
 * is the callee's issuer name (draft-ietf-oauth-rfc7523bis).
 */
export function privateKeyJwt(options: {
  readonly clientId: string
  readonly audience: string
  /** The key, or a function that returns it for each assertion. */
  readonly key: SigningKey<SignatureAlgorithm> | (() => Promise<SigningKey<SignatureAlgorithm>>)
  /** The `typ` of the header; by default the explicit one, which not every OpenID provider accepts. */
  readonly typ?: string
  readonly clock?: Clock
}): Authorization {
  const { clientId, audience, typ = 'client-authentication+jwt', clock = systemClock } = options
  return async () => {
    const key = typeof options.key === 'function' ? await options.key() : options.key
    const assertion = await signToken({ iss: clientId, sub: clientId, aud: audience }, key, {
      lifetimeSeconds: ASSERTION_LIFETIME_SECONDS,
      typ,
      clock,
    })
    return `Bearer ${assertion}`
  }
}

/** Authenticates with a token that the platform renews in a file: a projected Kubernetes token or a JWT-SVID. */
export function tokenFile(path: string, clock: Clock = systemClock): Authorization {
  let token = ''
  let readAt = Number.NEGATIVE_INFINITY
  return async () => {
    // Absolute, so that a clock that is set back does not keep an old token.
    if (Math.abs(clock() - readAt) > FILE_MAX_AGE_MS) {
      token = (await readFile(path, 'utf8')).trim()
      readAt = clock()
    }
    return `Bearer ${token}`
  }
}

/**
 * Returns the key in a file, reloaded when it is due; if that fails, the last valid one.
 * @param kid its key ID; by default its thumbprint.
 */
export function keyFile(
  path: string,
  alg: SignatureAlgorithm,
  clock: Clock = systemClock,
  kid?: string,
): () => Promise<SigningKey<SignatureAlgorithm>> {
  let key: SigningKey<SignatureAlgorithm> | undefined
  let readAt = Number.NEGATIVE_INFINITY
  return async () => {
    if (key && Math.abs(clock() - readAt) <= FILE_MAX_AGE_MS) return key
    readAt = clock()
    try {
      key = importSigningKey(await readFile(path, 'utf8'), { alg, ...(kid === undefined ? {} : { kid }) })
    } catch (error) {
      if (!key) throw error
    }
    return key
  }
}

/** How a service authenticates to the services that it calls. */
export type CredentialConfig =
  | { readonly kind: 'none' }
  | { readonly kind: 'token-file'; readonly path: string }
  | { readonly kind: 'private-key'; readonly path: string; readonly algorithm: Algorithm }

/**
 * Reads `CALLER_TOKEN_FILE`, or `CALLER_KEY_FILE` with `CALLER_KEY_ALGORITHM`. Neither means no credential. The key must exist,
 * fit the algorithm and be private to this process's user. A token file is not checked: the kubelet makes it readable to all
 * processes of the pod, and may create it after the start.
 */
export function credentialConfig(variables: VariableReader): CredentialConfig {
  const tokenPath = variables.optionalText('CALLER_TOKEN_FILE')
  const keyPath = variables.optionalText('CALLER_KEY_FILE')
  const algorithm = variables.oneOf('CALLER_KEY_ALGORITHM', ['RS256', 'PS256', 'ES256', 'EdDSA'], 'ES256')
  variables.require(!(tokenPath && keyPath), 'Set CALLER_TOKEN_FILE or CALLER_KEY_FILE, not both')
  if (tokenPath) return { kind: 'token-file', path: tokenPath }
  if (!keyPath) return { kind: 'none' }
  const problem = explainKeyFile(keyPath, algorithm, 'CALLER_KEY_ALGORITHM')
  variables.require(problem === undefined, `CALLER_KEY_FILE ${keyPath}: ${problem}`)
  return { kind: 'private-key', path: keyPath, algorithm }
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist. Create it or correct the name.',
  EACCES: 'cannot be read by this user. Give it access (chown, chmod).',
  EISDIR: 'is a folder, not a file.',
}

/**
 * Explains why a file must not be used as a private key; never quotes it.
 * @param variable the one that sets the algorithm.
 */
export function explainKeyFile(path: string, alg: SignatureAlgorithm, variable: string): string | undefined {
  try {
    const stats = statSync(path)
    if (stats.isDirectory()) return UNREADABLE.EISDIR
    const exposure = explainExposure(path, stats)
    if (exposure) return `${exposure.reason}. ${exposure.remedy}`
    const pem = readFileSync(path, 'utf8')
    if (pem.trim() === '') return 'is empty. Write the private key to it (PEM, PKCS#8).'
    importSigningKey(pem, { alg })
    return undefined
  } catch (error) {
    if (error instanceof KeyError)
      return error.reason === 'alg_mismatch'
        ? `${error.message} Set ${variable} to the algorithm of the key.`
        : error.message
    const { code = '' } = error as NodeJS.ErrnoException
    return UNREADABLE[code] ?? `cannot be read (${code}).`
  }
}

/** Returns the configured credential for calls to one callee, or undefined if none is configured. */
export function authorizationFor(
  config: CredentialConfig,
  {
    clientId,
    audience,
    clock,
  }: { readonly clientId: string; readonly audience: string; readonly clock?: Clock },
): Authorization | undefined {
  switch (config.kind) {
    case 'none':
      return undefined
    case 'token-file':
      return tokenFile(config.path, clock)
    case 'private-key':
      return privateKeyJwt({
        clientId,
        audience,
        key: keyFile(config.path, config.algorithm, clock),
        ...(clock && { clock }),
      })
  }
}
