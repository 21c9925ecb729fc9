import { SIGNATURE_ALGORITHMS } from '../keys/index.ts'
import type { TokenLibrary } from './library.ts'

type Jose = typeof import('jose')

let loaded: Jose | undefined

async function load(): Promise<Jose> {
  loaded ??= await import('jose')
  return loaded
}

/** The jose adapter. jose uses WebCrypto, so it signs and verifies on the thread pool. */
export const jose: TokenLibrary = {
  name: 'jose',
  algorithms: SIGNATURE_ALGORITHMS,

  async sign(claims, key, typ) {
    const { SignJWT } = loaded ?? (await load())
    return new SignJWT({ ...claims })
      .setProtectedHeader({ alg: key.alg, typ, kid: key.kid })
      .sign(key.privateKey)
  },

  async verify({ token, header }, key) {
    const { compactVerify, errors } = loaded ?? (await load())
    try {
      // The header may name Ed25519 where the key has EdDSA (RFC 9864); an earlier check has matched the two.
      await compactVerify(token, key.publicKey, { algorithms: [String(header.alg)] })
      return true
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) return false
      throw error
    }
  },
}
