import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { parseStateFile, readOrCreatePrivateFile } from '@hallpass/private-files'
import { exportPrivatePem, generateSigningKey, publicJwk } from '@hallpass/tokens'

/** A private signing key as JWK. */
export type PrivateJwk = JsonWebKey & { readonly kid: string; readonly alg: string; readonly use: 'sig' }

/**
 * Returns the provider's signing keys: RS256 for ID tokens, which every client library accepts by default, and ES256
 * for access tokens. Creates them at the first start, so that tokens stay valid after a restart.
 */
export async function loadSigningKeys(file: string): Promise<readonly PrivateJwk[]> {
  const text = await readOrCreatePrivateFile(file, async () => {
    const keys = await Promise.all([generatePrivateJwk('RS256'), generatePrivateJwk('ES256')])
    return JSON.stringify({ keys }, null, 2)
  })
  return parseStateFile(file, text, 'a set of private keys (RS256 and ES256)', readKeySet)
}

function readKeySet(text: string): readonly PrivateJwk[] {
  const { keys } = JSON.parse(text) as { keys: PrivateJwk[] }
  for (const key of keys) createPrivateKey({ key, format: 'jwk' })
  for (const needed of ['RS256', 'ES256'])
    if (!keys.some(({ alg, kid }) => alg === needed && typeof kid === 'string')) throw new Error(needed)
  return keys
}

async function generatePrivateJwk(alg: 'RS256' | 'ES256'): Promise<PrivateJwk> {
  const key = await generateSigningKey(alg)
  const jwk = createPrivateKey(exportPrivatePem(key)).export({ format: 'jwk' })
  return { ...jwk, kid: publicJwk(key).kid, alg, use: 'sig' }
}
