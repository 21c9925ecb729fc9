import { AssertionType, keyFile, privateKeyJwt } from '@hallpass/callers'
import { readOwnerOnlyFile } from '@hallpass/private-files'
import type { Clock } from '@hallpass/service-kit'
import type { TokenRule } from './rules.ts'

/** What a request to a token endpoint contains to authenticate this gateway. */
export interface ClientProof {
  readonly authorization?: string
  readonly form: Readonly<Record<string, string>>
}

/** Returns the function that authenticates one request to the token endpoint, with the secret or key that the file has now. */
export function clientAuthentication(rule: TokenRule, clock: Clock): () => Promise<ClientProof> {
  const { clientId } = rule
  switch (rule.method) {
    case 'client_secret_basic':
      return async () => {
        const secret = (await readOwnerOnlyFile(rule.secretFile)).trim()
        const credentials = `${formEncoded(clientId)}:${formEncoded(secret)}`
        return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}`, form: {} }
      }
    case 'private_key_jwt': {
      const assertion = privateKeyJwt({
        clientId,
        audience: rule.issuer,
        key: keyFile(rule.keyFile, rule.algorithm, clock, rule.keyId),
        // Some issuers accept no other.
        typ: 'JWT',
        clock,
      })
      return async () => ({
        form: {
          client_id: clientId,
          client_assertion_type: AssertionType.jwtBearer,
          client_assertion: (await assertion()).replace(/^Bearer /, ''),
        },
      })
    }
    case 'tls_client_auth':
      // The certificate of the connection is the proof (RFC 8705 §2.1).
      return async () => ({ form: { client_id: clientId } })
  }
}

/** RFC 6749 §2.3.1: both parts are encoded as in a form, so that a colon is no separator. */
const formEncoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
