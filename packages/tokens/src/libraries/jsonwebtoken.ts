import { SIGNATURE_ALGORITHMS } from '../keys/index.ts'
import type { TokenLibrary } from './library.ts'
import { signInThread } from './signing-thread.ts'

type JsonWebToken = typeof import('jsonwebtoken')

let loaded: JsonWebToken | undefined

async function load(): Promise<JsonWebToken> {
  loaded ??= (await import('jsonwebtoken')).default
  return loaded
}

/** The jsonwebtoken adapter. The library runs on the calling thread, so RSA signing moves to a worker. No EdDSA. */
export const jsonwebtoken: TokenLibrary = {
  name: 'jsonwebtoken',
  algorithms: SIGNATURE_ALGORITHMS.filter((alg) => alg !== 'EdDSA'),

  async sign(claims, key, typ) {
    if (key.privateKey.asymmetricKeyType === 'rsa') return signInThread('jsonwebtoken', claims, key, typ)
    const { sign } = loaded ?? (await load())
    return sign(claims, key.privateKey, {
      algorithm: key.alg as 'ES256',
      header: { alg: key.alg, typ, kid: key.kid },
      // noTimestamp would also remove an iat from the claims.
      noTimestamp: claims.iat === undefined,
    })
  },

  async verify({ token }, { alg, publicKey }) {
    const { verify, JsonWebTokenError } = loaded ?? (await load())
    try {
      // verifyToken checks the claims, with the same clock and rules for all libraries.
      verify(token, publicKey, {
        algorithms: [alg as 'RS256'],
        ignoreExpiration: true,
        ignoreNotBefore: true,
      })
      return true
    } catch (error) {
      if (error instanceof JsonWebTokenError) return false
      throw error
    }
  },
}
