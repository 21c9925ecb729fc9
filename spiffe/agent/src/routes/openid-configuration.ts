import type { Handler } from '@hallpass/service-kit'

/** `GET /.well-known/openid-configuration`: tells JWT verifiers where the keys are (OpenID Connect Discovery §4). */
export function openidConfiguration(issuer: string, algorithms: () => readonly string[]): Handler {
  return (_request, response) => {
    response.set('cache-control', 'no-cache').json({
      issuer,
      jwks_uri: `${issuer}/keys`,
      // The standard requires these members, although users cannot log in here.
      authorization_endpoint: '',
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: [...new Set(algorithms())],
    })
  }
}
