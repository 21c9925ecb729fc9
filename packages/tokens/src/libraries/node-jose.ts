import type { JWK } from 'node-jose'
import { type AnySigningKey, SIGNATURE_ALGORITHMS, type VerificationKey } from '../keys/index.ts'
import type { TokenLibrary } from './library.ts'
import { signInThread } from './signing-thread.ts'

type NodeJose = typeof import('node-jose')

let loaded: NodeJose | undefined

async function load(): Promise<NodeJose> {
  // node-jose is CommonJS: named exports depend on the loader, `default` is always present.
  loaded ??= ((await import('node-jose')) as unknown as { default: NodeJose }).default
  return loaded
}

/** Cached, because creating one of node-jose's own key objects takes longer than using it. */
const publicKeys = new WeakMap<VerificationKey, Promise<JWK.Key>>()
const privateKeys = new WeakMap<AnySigningKey, Promise<JWK.Key>>()

/** The node-jose adapter, for services that already use it. The library converts its keys to PEM on every call. No EdDSA. */
export const nodeJose: TokenLibrary = {
  name: 'node-jose',
  algorithms: SIGNATURE_ALGORITHMS.filter((alg) => alg !== 'EdDSA'),

  async sign(claims, key, typ) {
    if (key.privateKey.asymmetricKeyType === 'rsa') return signInThread('node-jose', claims, key, typ)
    const { JWK, JWS } = loaded ?? (await load())
    let own = privateKeys.get(key)
    if (!own) {
      own = JWK.asKey({ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid })
      privateKeys.set(key, own)
    }
    const options = { format: 'compact' as const, fields: { alg: key.alg, typ, kid: key.kid } }
    // The type definitions lack `reference: false`, the only option that leaves the header unchanged.
    const signer = JWS.createSign(options, { key: await own, reference: false } as unknown as JWK.Key)
    // As bytes: node-jose truncates the characters of a string to eight bits.
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
      // node-jose reports every signature mismatch with this message.
      if (error instanceof Error && error.message === 'no key found') return false
      throw error
    }
  },
}
