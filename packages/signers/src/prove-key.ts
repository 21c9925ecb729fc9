import { verify } from 'node:crypto'
import { KeyError, SCHEMES, type Signer } from '@hallpass/tokens'

const MESSAGE = Buffer.from('Hallpass: a new key signs once before it is used.')

/**
 * Checks that the two halves of a new key belong together and that its signatures have the form of a JWS, so that a
 * misunderstanding with the system that keeps it cannot reach a token.
 * @throws {KeyError} `invalid_key`
 */
export async function proveKey(signer: Signer): Promise<void> {
  const { digest, options } = SCHEMES[signer.alg]
  const signature = await signer.sign(MESSAGE)
  if (!verify(digest, MESSAGE, { key: signer.publicKey, ...options }, signature))
    throw new KeyError('invalid_key', `The first signature of ${signer.kid} does not verify.`)
}
