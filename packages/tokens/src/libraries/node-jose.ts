import type { JWK } from 'node-jose'
import type { AnyVerificationKey, SigningKey } from '../keys/keys.ts'
import type { TokenLibrary } from './library.ts'
import { signInThread } from './signing-thread.ts'

type NodeJose = typeof import('node-jose')

let loaded: NodeJose | undefined

async function load(): Promise<NodeJose> {
  // CommonJS: a loader that sees its named exports gives them too, `default` is there always.
  loaded ??= ((await import('node-jose')) as unknown as { default: NodeJose }).default
  return loaded
}

/** node-jose has key objects of its own; making one takes longer than using it. */
const publicKeys = new WeakMap<AnyVerificationKey, Promise<JWK.Key>>()
const privateKeys = new WeakMap<SigningKey, Promise<JWK.Key>>()

/** The oldest of the three, for those who have it: it turns its keys into PEM for every call. It has no EdDSA. */
export const nodeJose: TokenLibrary = {
  name: 'node-jose',
  algorithms: ['RS256', 'PS256', 'ES256'],

  async sign(claims, key, typ) {
    if (key.privateKey.asymmetricKeyType === 'rsa') return signInThread('node-jose', claims, key, typ)
    const { JWK, JWS } = loaded ?? (await load())
    let own = privateKeys.get(key)
    if (!own) {
      own = JWK.asKey({ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid })
      privateKeys.set(key, own)
    }
    const options = { format: 'compact' as const, fields: { alg: key.alg, typ, kid: key.kid } }
    // The types lack this way to name the key, the only one that leaves the header as it is.
    const signer = JWS.createSign(options, { key: await own, reference: false } as unknown as JWK.Key)
    // As bytes: given a text, it would sign its characters cut to eight bits.
    return (await signer.update(Buffer.from(JSON.stringify(claims))).final()) as unknown as string
  },

  async verify({ token }, key) {
    const { JWK, JWS } = loaded ?? (await load())
    let own = publicKeys.get(key)
    if (!own) {
      own = JWK.asKey({ ...key.publicKey.export({ format: 'jwk' }), kid: key.kid })
      publicKeys.set(key, own)
    }
    try {
      await JWS.createVerify(await own, { algorithms: [key.alg] }).verify(token)
      return true
    } catch (error) {
      // It has one answer to every signature that does not match.
      if (error instanceof Error && error.message === 'no key found') return false
      throw error
    }
  },
}
