import { keyFile, privateKeyJwt, tokenFile } from '@hallpass/callers'
import { type Clock, HttpError } from '@hallpass/service-kit'
import type { SignatureAlgorithm } from '@hallpass/tokens'
import type * as Library from 'openid-client'

/** How this client authenticates at the provider's token and revocation endpoints. */
export type ClientAuth =
  /** The method `undefined` is `client_secret_basic`, or `client_secret_post` if the provider supports only that one. */
  | { readonly method: 'client_secret_basic' | 'client_secret_post' | undefined; readonly secret: string }
  | { readonly method: 'none' }
  | {
      readonly method: 'private_key_jwt'
      readonly keyFile: string
      readonly algorithm: SignatureAlgorithm
      readonly keyId: string | undefined
    }
  | { readonly method: 'spiffe_jwt' | 'kubernetes'; readonly assertionFile: string }

/** A service account token is a JWT like any other (RFC 7523 §2.2); a JWT-SVID has a type of its own (draft-ietf-oauth-spiffe-client-auth). */
const ASSERTION_TYPE = {
  kubernetes: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  private_key_jwt: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  spiffe_jwt: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
} as const

/** Returns the authentication for the client library. Files are read again when they are renewed. */
export function clientAuthFor(
  oidc: typeof Library,
  auth: ClientAuth,
  provider: Library.ServerMetadata,
  clientId: string,
  clock: Clock,
): Library.ClientAuth {
  switch (auth.method) {
    case 'none':
      return oidc.None()
    case 'private_key_jwt':
      return withAssertion(
        auth.method,
        `CLIENT_KEY_FILE ${auth.keyFile}`,
        privateKeyJwt({
          clientId,
          // The only audience that every provider must accept (draft-ietf-oauth-rfc7523bis §4).
          audience: provider.issuer,
          key: keyFile(auth.keyFile, auth.algorithm, clock, auth.keyId),
          // Some providers accept no other.
          typ: 'JWT',
          clock,
        }),
      )
    case 'spiffe_jwt':
    case 'kubernetes':
      return withAssertion(
        auth.method,
        `CLIENT_ASSERTION_FILE ${auth.assertionFile}`,
        tokenFile(auth.assertionFile, clock),
      )
    default: {
      const supported = provider.token_endpoint_auth_methods_supported
      const onlyPost =
        Array.isArray(supported) &&
        supported.includes('client_secret_post') &&
        !supported.includes('client_secret_basic')
      const method = auth.method ?? (onlyPost ? 'client_secret_post' : 'client_secret_basic')
      return method === 'client_secret_post'
        ? oidc.ClientSecretPost(auth.secret)
        : // Encodes both parts as a form (RFC 6749 §2.3.1).
          oidc.ClientSecretBasic(auth.secret)
    }
  }
}

function withAssertion(
  method: keyof typeof ASSERTION_TYPE,
  source: string,
  authorization: () => Promise<string>,
): Library.ClientAuth {
  // The library awaits the result, although its type says otherwise; its own `PrivateKeyJwt` returns a promise too.
  return async (_provider, client, body) => {
    const assertion = await assertionFrom(source, authorization)
    body.set('client_id', client.client_id)
    body.set('client_assertion_type', ASSERTION_TYPE[method])
    body.set('client_assertion', assertion)
  }
}

/** @throws {HttpError} 503 `client_credential_unavailable`; only its cause, for the log, names the file. */
async function assertionFrom(source: string, authorization: () => Promise<string>): Promise<string> {
  try {
    const assertion = (await authorization()).replace(/^Bearer /, '')
    if (assertion === '') throw new Error('it is empty')
    return assertion
  } catch (error) {
    const reason = (error as Error).message.replace(/\.$/, '')
    throw new HttpError(
      503,
      'client_credential_unavailable',
      'The web UI cannot authenticate to the identity provider now, because its own credential is missing or invalid. Its log has the reason.',
      {
        cause: new Error(
          `${source} cannot be used: ${reason}. Create the file, correct the name, or give this user access.`,
        ),
      },
    )
  }
}
