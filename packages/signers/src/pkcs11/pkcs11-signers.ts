import { randomBytes } from 'node:crypto'
import {
  type Algorithm,
  exportPublicPem,
  importVerificationKey,
  KeyError,
  type Signer,
  type VerificationKey,
} from '@hallpass/tokens'
import { kidFor } from '../kid.ts'
import { proveKey } from '../prove-key.ts'
import { type Signers, SignerUnavailableError, UnsupportedAlgorithmError } from '../signers.ts'
import { KEY_TYPES } from './key-types.ts'
import { type KeyName, parseReference, referenceOf } from './key-uri.ts'
import { type Attribute, CK, CKA, type Handle, type KeyPair, returnValueOf } from './pkcs11js.ts'
import { KEY_PAIR_MS, type Session, Token, type TokenOptions } from './token.ts'

/** More than one, to notice a second key with the same ID. */
const SOUGHT_OBJECTS = 2
/** Longer than a signature of an RSA key with 8192 bits. */
const MAX_SIGNATURE_BYTES = 1024

/**
 * Private keys in a PKCS#11 token. They are made there as sensitive and not extractable, and never are in this process.
 * @throws {ConfigError} if `pkcs11js` is not installed, or the module is no PKCS#11 library. The token itself may come later.
 */
export function pkcs11Signers(options: TokenOptions): Signers {
  const token = new Token(options)

  const signerOf = (key: VerificationKey<Algorithm>, name: KeyName): Signer => ({
    ...key,
    sign: (bytes) => token.run((session) => sign(session, key.alg, name, bytes)).catch(unavailable),
  })
  // A key that is gone must not look like a mistake of the client whose token it should have signed.
  const unavailable = (error: unknown): never => {
    if (!(error instanceof KeyError)) throw error
    throw new SignerUnavailableError(token.system, 'the signing key is not in it', error)
  }

  const destroy = async (reference: string) => {
    const name = parseReference(reference, 'to destroy')
    await token.run((session) => {
      for (const kind of [CK.PRIVATE_KEY, CK.PUBLIC_KEY])
        for (const object of search(session, kind, name))
          session.pkcs11.C_DestroyObject(session.handle, object)
      session.objects.delete(cacheKey(CK.PRIVATE_KEY, name))
      session.objects.delete(cacheKey(CK.PUBLIC_KEY, name))
    })
  }

  return {
    kind: 'pkcs11',
    async create(algorithm, keyId) {
      const made = await token.run(async (session) => {
        assertSupported(session, algorithm, token.system)
        const provisional: KeyName = { label: keyId, id: randomBytes(16) }
        const pair = await generate(session, algorithm, provisional)
        try {
          assertNotExtractable(session, pair.privateKey)
          const publicKey = publicKeyOf(session, algorithm, pair.publicKey)
          const kid = kidFor(keyId, publicKey)
          const name = rename(session, pair, { label: kid, id: Buffer.from(kid) }) ?? provisional
          return { key: strong(publicKey, algorithm, kid), name }
        } catch (error) {
          destroyPair(session, pair)
          throw error
        }
      }, KEY_PAIR_MS)
      const key = signerOf(made.key, made.name)
      const reference = referenceOf(options.token, made.name)
      try {
        await proveKey(key)
      } catch (error) {
        await destroy(reference).catch(() => {})
        throw error
      }
      return { key, reference }
    },

    async open(reference, algorithm, kid) {
      const name = parseReference(reference, kid)
      const publicKey = await token.run((session) => {
        find(session, CK.PRIVATE_KEY, name, algorithm)
        return publicKeyOf(session, algorithm, find(session, CK.PUBLIC_KEY, name, algorithm))
      })
      return signerOf(strong(publicKey, algorithm, kid), name)
    },

    destroy,

    async check(algorithm) {
      await token.run((session) => {
        session.pkcs11.C_GetSessionInfo(session.handle)
        session.pkcs11.C_GetTokenInfo(session.slot)
        if (algorithm) assertSupported(session, algorithm, token.system)
      })
    },

    close: () => token.close(),
  }
}

const strong = (publicKey: VerificationKey['publicKey'], alg: Algorithm, kid: string) =>
  importVerificationKey(exportPublicPem({ publicKey, alg, kid }), { alg, kid })

function assertSupported({ pkcs11, slot }: Session, algorithm: Algorithm, system: string) {
  const { generation, signing, mechanismName } = KEY_TYPES[algorithm]
  const mechanisms = pkcs11.C_GetMechanismList(slot)
  if (!mechanisms.includes(generation) || !mechanisms.includes(signing.mechanism))
    throw new UnsupportedAlgorithmError(system, algorithm, mechanismName)
}

async function generate(session: Session, algorithm: Algorithm, { label, id }: KeyName): Promise<KeyPair> {
  const { keyType, generation, parameters } = KEY_TYPES[algorithm]
  const both: Attribute[] = [
    { type: CKA.TOKEN, value: true },
    { type: CKA.KEY_TYPE, value: keyType },
    { type: CKA.LABEL, value: label },
    { type: CKA.ID, value: id },
  ]
  return session.pkcs11.C_GenerateKeyPairAsync(
    session.handle,
    { mechanism: generation },
    [...both, { type: CKA.VERIFY, value: true }, ...parameters],
    [
      ...both,
      { type: CKA.PRIVATE, value: true },
      { type: CKA.SENSITIVE, value: true },
      { type: CKA.EXTRACTABLE, value: false },
      { type: CKA.SIGN, value: true },
    ],
  )
}

/** A token that ignores the template must not keep a key of ours. */
function assertNotExtractable({ pkcs11, handle }: Session, key: Handle) {
  const [sensitive, extractable] = pkcs11.C_GetAttributeValue(handle, key, [
    { type: CKA.SENSITIVE },
    { type: CKA.EXTRACTABLE },
  ])
  const isTrue = (attribute: Attribute | undefined) => (attribute?.value as Buffer | undefined)?.[0] === 1
  if (!isTrue(sensitive) || isTrue(extractable))
    throw new KeyError('invalid_key', 'The token made a private key that can be read.')
}

function publicKeyOf({ pkcs11, handle }: Session, algorithm: Algorithm, key: Handle) {
  const { attributes, publicKey } = KEY_TYPES[algorithm]
  const values = pkcs11.C_GetAttributeValue(
    handle,
    key,
    attributes.map((type) => ({ type })),
  )
  return publicKey(values.map(({ value }) => value as Buffer))
}

/** Names a new pair after its kid, which follows from the public key. Returns undefined if the token does not rename keys. */
function rename({ pkcs11, handle }: Session, pair: KeyPair, name: KeyName): KeyName | undefined {
  const attributes = [
    { type: CKA.LABEL, value: name.label },
    { type: CKA.ID, value: name.id },
  ]
  try {
    pkcs11.C_SetAttributeValue(handle, pair.privateKey, attributes)
  } catch (error) {
    if (/^CKR_(ATTRIBUTE|ACTION|FUNCTION|TEMPLATE)/.test(returnValueOf(error) ?? '')) return undefined
    throw error
  }
  pkcs11.C_SetAttributeValue(handle, pair.publicKey, attributes)
  return name
}

function destroyPair({ pkcs11, handle }: Session, pair: KeyPair) {
  for (const object of [pair.privateKey, pair.publicKey])
    try {
      pkcs11.C_DestroyObject(handle, object)
    } catch {
      // The token is lost. The pair remains, and nothing refers to it.
    }
}

async function sign(session: Session, algorithm: Algorithm, name: KeyName, bytes: Uint8Array) {
  const { signing, input } = KEY_TYPES[algorithm]
  const key = find(session, CK.PRIVATE_KEY, name, algorithm)
  const buffers = [input(bytes), Buffer.alloc(MAX_SIGNATURE_BYTES)] as const
  session.buffers = buffers
  session.pkcs11.C_SignInit(session.handle, signing, key)
  return session.pkcs11.C_SignAsync(session.handle, ...buffers)
}

const cacheKey = (kind: number, { id }: KeyName) => `${kind} ${id.toString('hex')}`

/** Returns the only object of a kind with this ID. @throws {KeyError} `invalid_key`, or `alg_mismatch` */
function find(session: Session, kind: number, name: KeyName, algorithm: Algorithm): Handle {
  const cached = session.objects.get(cacheKey(kind, name))
  if (cached) return cached
  const found = search(session, kind, name)
  const [object] = found
  if (!object) throw new KeyError('invalid_key', `Key ${name.label} is not in the token.`)
  if (found.length > 1)
    throw new KeyError('invalid_key', `Two keys in the token have the ID of ${name.label}.`)
  const [type] = session.pkcs11.C_GetAttributeValue(session.handle, object, [{ type: CKA.KEY_TYPE }])
  // A CK_ULONG in the byte order of the machine; all of its values in use fit the first byte.
  if ((type?.value as Buffer | undefined)?.readUInt8(0) !== KEY_TYPES[algorithm].keyType)
    throw new KeyError('alg_mismatch', `Key ${name.label} in the token is not a key for ${algorithm}.`)
  session.objects.set(cacheKey(kind, name), object)
  return object
}

function search({ pkcs11, handle }: Session, kind: number, { id }: KeyName): Handle[] {
  pkcs11.C_FindObjectsInit(handle, [
    { type: CKA.CLASS, value: kind },
    { type: CKA.TOKEN, value: true },
    { type: CKA.ID, value: id },
  ])
  try {
    return pkcs11.C_FindObjects(handle, SOUGHT_OBJECTS)
  } finally {
    pkcs11.C_FindObjectsFinal(handle)
  }
}
