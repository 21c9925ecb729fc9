import { explainKeyFile } from '@hallpass/callers'
import type { VariableReader } from '@hallpass/service-kit'
import { algorithmsIn, SIGNATURE_ALGORITHMS } from '@hallpass/tokens'

/** Reads whose tokens to accept; undefined without `ISSUER_BASE_URL` or `AUTH0_CLIENT_ID`, which a login requires. */
export function readProvider(variables: VariableReader) {
  const issuerUrl = readUrl(variables, 'ISSUER_BASE_URL')
  const clientId = variables.optionalText('AUTH0_CLIENT_ID')
  const algorithms = variables.parsed('TOKEN_ALGORITHMS', SIGNATURE_ALGORITHMS.join(), algorithmsIn)
  const backChannelUrl = readUrl(variables, 'ISSUER_BACK_CHANNEL_URL')
  const jwksUrl = readUrl(variables, 'JWKS_URL')
  if (issuerUrl === undefined || clientId === undefined) return undefined
  return {
    /** Exactly as in the `iss` claim. */
    issuerUrl,
    clientId,
    /** The accepted algorithms of ID tokens and logout tokens. */
    algorithms,
    /** The address at which this service reaches the provider, if it differs from the browsers'. */
    backChannelUrl,
    /** The provider's key set, instead of the one in its metadata. */
    jwksUrl,
  }
}

/**
 * Reads a URL of the provider without changing it: a path and a trailing slash are part of an issuer's name. Also in
 * development, whoever can change its answers can log in as any user.
 */
function readUrl(variables: VariableReader, name: string): string | undefined {
  const url = variables.optionalText(name)
  if (url === undefined) return undefined
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol) || /[?#]/.test(url)) {
    variables.require(
      false,
      `${name} must be an http or https URL without query, but is ${JSON.stringify(url)}`,
    )
    return undefined
  }
  variables.requireEncrypted(name, url)
  return url
}

const METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'none',
  'private_key_jwt',
  'spiffe_jwt',
  'kubernetes',
] as const

/** Variables that only some methods read. */
const OF_METHODS: Readonly<Record<string, readonly string[]>> = {
  CLIENT_KEY_FILE: ['private_key_jwt'],
  CLIENT_KEY_ALGORITHM: ['private_key_jwt'],
  CLIENT_KEY_ID: ['private_key_jwt'],
  CLIENT_ASSERTION_FILE: ['spiffe_jwt', 'kubernetes'],
}

/** Reads how the client authenticates at the provider. The secret itself may be in a file, which is read later. */
export function readClientAuth(variables: VariableReader) {
  const named = variables.optionalText('CLIENT_AUTH')
  const method = named === undefined ? undefined : variables.oneOf('CLIENT_AUTH', METHODS)
  for (const [name, methods] of Object.entries(OF_METHODS))
    variables.require(
      variables.optionalText(name) === undefined || (method !== undefined && methods.includes(method)),
      `${name} needs CLIENT_AUTH=${methods.join(' or ')}, but CLIENT_AUTH is ${named ?? 'not set'}`,
    )
  const hasSecret = variables.optionalText('AUTH0_SECRET') !== undefined
  const withoutSecret = () =>
    variables.require(
      !hasSecret,
      `CLIENT_AUTH=${method} uses no secret, but AUTH0_SECRET is set: remove AUTH0_SECRET, or set CLIENT_AUTH to client_secret_basic`,
    )
  switch (method) {
    case 'none':
      withoutSecret()
      return { method } as const
    case 'private_key_jwt': {
      withoutSecret()
      const keyFile = variables.text('CLIENT_KEY_FILE')
      const algorithm = variables.oneOf('CLIENT_KEY_ALGORITHM', SIGNATURE_ALGORITHMS, 'RS256')
      const problem =
        keyFile === undefined ? undefined : explainKeyFile(keyFile, algorithm, 'CLIENT_KEY_ALGORITHM')
      variables.require(problem === undefined, `CLIENT_KEY_FILE ${keyFile}: ${problem}`)
      return { method, keyFile, algorithm, keyId: variables.optionalText('CLIENT_KEY_ID') } as const
    }
    case 'spiffe_jwt':
    case 'kubernetes':
      withoutSecret()
      // Not read here: the platform may write it after the start.
      return { method, assertionFile: variables.text('CLIENT_ASSERTION_FILE') } as const
    default:
      return { method } as const
  }
}
