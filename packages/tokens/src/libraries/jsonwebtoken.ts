import type { TokenLibrary } from './library.ts'
import { signInThread } from './signing-thread.ts'

type JsonWebToken = typeof import('jsonwebtoken')

let loaded: JsonWebToken | undefined

async function load(): Promise<JsonWebToken> {
  loaded ??= (await import('jsonwebtoken')).default
  return loaded
}

/** The library that most services use. It signs and verifies on the thread that calls it, and has no EdDSA. */
export const jsonwebtoken: TokenLibrary = {
  name: 'jsonwebtoken',
  algorithms: ['RS256', 'PS256', 'ES256'],

  async sign(claims, key, typ) {
    if (key.privateKey.asymmetricKeyType === 'rsa') return signInThread('jsonwebtoken', claims, key, typ)
    const { sign } = loaded ?? (await load())
    return sign(claims, key.privateKey, {
      algorithm: key.alg as 'ES256',
      header: { alg: key.alg, typ, kid: key.kid },
      // It would take the claims' own iat away, too.
      noTimestamp: claims.iat === undefined,
    })
  },

  async verify({ token }, { alg, publicKey }) {
    const { verify, JsonWebTokenError } = loaded ?? (await load())
    try {
      // The claims are for verifyToken to judge, with one clock and one set of rules for all libraries.
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
