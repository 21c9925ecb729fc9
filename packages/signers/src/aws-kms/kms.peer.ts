import { constants, generateKeyPairSync, type KeyObject, sign as signWith } from 'node:crypto'
import { type Algorithm, parseCompact, type Signer, signToken } from '@hallpass/tokens'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { destroyContract, signersContract } from '../testing/contract.ts'
import { describeWithMoto } from '../testing/describe-with.ts'
import { MOTO_CREDENTIALS, Moto } from '../testing/moto.ts'
import { peerEnvironment, usePeerModules } from '../testing/peers.ts'
import { kmsError, StrangeKms } from '../testing/strange-kms.ts'
import { wrappedSigners } from '../wrapped.ts'
import { KmsClient } from './client-kms.ts'
import { kmsKeyEncryption, kmsSigners } from './index.ts'

const MESSAGE = Buffer.from('a message')
/** Moto has no keys for Ed25519, and its PSS has the longest salt that fits; AWS's is as long as the hash (API reference of Sign). */
const ON_MOTO = ['RS256', 'ES256'] as const satisfies readonly Algorithm[]
const ARN = 'arn:aws:kms:eu-central-1:123456789012:key/3f0e1a52-0000-4000-8000-000000000000'

const unavailable = (fault: string) => ({
  name: 'SignerUnavailableError',
  status: 503,
  code: 'signer_unavailable',
  message: `AWS KMS is not available (${fault}).`,
  headers: { 'retry-after': '1' },
})

const withKms = describeWithMoto()
const useKms = () => {
  usePeerModules()
  Object.assign(process.env, MOTO_CREDENTIALS)
}

withKms('keys in AWS KMS', () => {
  let moto: Moto
  let signers: ReturnType<typeof kmsSigners>
  beforeAll(async () => {
    useKms()
    moto = await Moto.start()
    signers = kmsSigners({ ...moto.options, deletionDays: 7 })
  }, 60_000)
  afterAll(async () => {
    await signers.close()
    await moto.kill()
  })

  describe('do what all signers do:', () => {
    signersContract(
      async () => ({
        config: { signer: 'aws-kms', ...moto.options, deletionDays: 7 },
        environment: { ...peerEnvironment, ...MOTO_CREDENTIALS },
        algorithms: ON_MOTO,
        unknownReference: moto.unknownArn,
        end: async () => {},
      }),
      ON_MOTO,
    )
    destroyContract(() => signers)
  })

  it('have an alias and a tag for people, and are for signing only', async () => {
    const { key, reference } = await signers.create('ES256', 'servicea')
    const client = new KmsClient(moto.options, 'a test')
    const aliased = await client.call<{ KeyMetadata: unknown }>(
      'DescribeKey',
      { KeyId: `alias/hallpass/${key.kid}` },
      key.kid,
    )
    expect(aliased.KeyMetadata).toMatchObject({
      Arn: reference,
      KeyUsage: 'SIGN_VERIFY',
      KeySpec: 'ECC_NIST_P256',
      Description: 'Hallpass signs tokens of servicea with it (ES256)',
    })
    expect(await client.call('ListResourceTags', { KeyId: reference.split('/')[1] }, key.kid)).toMatchObject({
      Tags: [{ TagKey: 'hallpass:key-id', TagValue: 'servicea' }],
    })
    client.close()
    await signers.destroy(reference)
  })

  it('are kept for the configured days after they were destroyed', async () => {
    const { key, reference } = await signers.create('ES256', 'servicea')
    await signers.destroy(reference)
    const client = new KmsClient(moto.options, 'a test')
    const { KeyMetadata } = await client.call<{ KeyMetadata: { KeyState: string; DeletionDate: Date } }>(
      'DescribeKey',
      { KeyId: reference },
      key.kid,
    )
    expect(KeyMetadata.KeyState).toBe('PendingDeletion')
    expect((KeyMetadata.DeletionDate.getTime() - Date.now()) / 86_400_000).toBeCloseTo(7, 1)
    client.close()
  })

  it('are not made for an algorithm that this KMS does not have', async () => {
    await expect(signers.create('EdDSA', 'servicea')).rejects.toMatchObject({
      name: 'UnsupportedAlgorithmError',
      message: 'AWS KMS cannot sign with EdDSA (no ECC_NIST_EDWARDS25519). Set another ALGORITHM.',
    })
  })

  it('are unavailable while KMS hangs, within the patience of a client, and sign when it answers again', async () => {
    const { key, reference } = await signers.create('ES256', 'servicea')
    const signer = key as Signer
    moto.freeze()
    const start = performance.now()
    try {
      await expect(signer.sign(MESSAGE)).rejects.toMatchObject({ code: 'signer_unavailable' })
      expect(performance.now() - start).toBeLessThan(5_000)
      await expect(signers.check()).rejects.toMatchObject({ code: 'signer_unavailable' })
    } finally {
      moto.thaw()
    }
    await expect(signer.sign(MESSAGE)).resolves.toHaveLength(64)
    await signers.destroy(reference)
  }, 30_000)

  it('are unavailable while KMS is killed, and new ones are made when it is back', async () => {
    const { key } = await signers.create('ES256', 'servicea')
    await moto.kill()
    await expect((key as Signer).sign(MESSAGE)).rejects.toMatchObject(unavailable('ECONNREFUSED'))
    await expect(signers.create('ES256', 'servicea')).rejects.toMatchObject(unavailable('ECONNREFUSED'))
    await expect(signers.check()).rejects.toMatchObject(unavailable('ECONNREFUSED'))
    await moto.start()
    const { key: next, reference } = await signers.create('ES256', 'servicea')
    await expect((next as Signer).sign(MESSAGE)).resolves.toHaveLength(64)
    await signers.destroy(reference)
    // Moto has forgotten the other key.
    await expect((key as Signer).sign(MESSAGE)).rejects.toMatchObject(
      unavailable(`Key ${key.kid} is not in KMS`),
    )
  }, 60_000)
})

withKms('a key-encryption key in AWS KMS', () => {
  let moto: Moto
  let keyId: string
  let otherKeyId: string
  beforeAll(async () => {
    useKms()
    moto = await Moto.start()
    const client = new KmsClient(moto.options, 'a test')
    const make = async () =>
      (await client.call<{ KeyMetadata: { KeyId: string } }>('CreateKey', {}, 'a key')).KeyMetadata.KeyId
    keyId = await make()
    otherKeyId = await make()
    client.close()
  }, 60_000)
  afterAll(() => moto.kill())

  describe('wraps keys as one in a file does:', () => {
    signersContract(
      async () => ({
        config: { signer: 'wrapped', keyEncryption: { kmsKeyId: keyId, ...moto.options } },
        environment: { ...peerEnvironment, ...MOTO_CREDENTIALS },
        algorithms: ['ES256'],
        unknownReference: `wrapped:${Buffer.from([2, 0, 5, 1, 2, 3, 4, 5, 6, 7]).toString('base64url')}`,
        end: async () => {},
      }),
      ['ES256'],
    )
  })

  it('opens nothing of another key, kid or algorithm', async () => {
    const signers = wrappedSigners(kmsKeyEncryption(keyId, moto.options))
    const others = wrappedSigners(kmsKeyEncryption(otherKeyId, moto.options))
    const { key, reference } = await signers.create('ES256', 'servicea')
    const invalid = { name: 'KeyError', reason: 'invalid_key' }
    await expect(signers.open(reference, 'ES256', 'another-kid')).rejects.toMatchObject(invalid)
    await expect(signers.open(reference, 'RS256', key.kid)).rejects.toMatchObject(invalid)
    const bytes = Buffer.from(reference.slice('wrapped:'.length), 'base64url')
    for (const index of [0, 1, 2, 50, bytes.length - 1]) {
      const changed = Buffer.from(bytes)
      changed[index] = (changed[index] as number) ^ 1
      await expect(
        signers.open(`wrapped:${changed.toString('base64url')}`, 'ES256', key.kid),
      ).rejects.toMatchObject(invalid)
    }
    await signers.close()
    await others.close()
  })

  it('is unavailable while KMS is', async () => {
    const signers = wrappedSigners(kmsKeyEncryption(keyId, moto.options))
    const { key, reference } = await signers.create('ES256', 'servicea')
    await expect(signers.check()).resolves.toBeUndefined()
    await moto.kill()
    await expect(signers.open(reference, 'ES256', key.kid)).rejects.toMatchObject(unavailable('ECONNREFUSED'))
    await expect(signers.create('ES256', 'servicea')).rejects.toMatchObject(unavailable('ECONNREFUSED'))
    await expect(signers.check()).rejects.toMatchObject(unavailable('ECONNREFUSED'))
    // A key that is open signs on.
    await expect(signToken({}, key, { lifetimeSeconds: 60 })).resolves.toMatch(/^ey/)
    await signers.close()
  }, 30_000)
})

withKms('an answer of KMS', () => {
  const kms = new StrangeKms()
  let signers: ReturnType<typeof kmsSigners>
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ed25519 = generateKeyPairSync('ed25519')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const spki = ({ publicKey }: { readonly publicKey: KeyObject }) =>
    publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  const ENABLED = { body: { KeyMetadata: { Arn: ARN, KeyState: 'Enabled' } } }
  /** What is known of a key, and then what a test wants. */
  const ofKey =
    (
      key: { readonly publicKey: KeyObject },
      otherwise: StrangeKms['answer'] = () => ({ body: {} }),
    ): StrangeKms['answer'] =>
    (call, input) => {
      if (call === 'CreateKey' || call === 'DescribeKey') return ENABLED
      if (call === 'GetPublicKey') return { body: { PublicKey: spki(key) } }
      return otherwise(call, input)
    }
  beforeAll(async () => {
    useKms()
    signers = kmsSigners({ ...(await kms.start()), deletionDays: 7 })
  })
  beforeEach(() => {
    kms.calls.length = 0
    kms.answer = ofKey(pair)
  })
  afterEach(() => {
    kms.answer = () => undefined
  })
  afterAll(async () => {
    await signers.close()
    await kms.stop()
  })

  const signedBy =
    (key: KeyObject): StrangeKms['answer'] =>
    (call, { Message = '' }) =>
      call === 'Sign'
        ? { body: { Signature: signWith('sha256', Buffer.from(Message, 'base64'), key).toString('base64') } }
        : { body: {} }

  const signer = async (alg: Algorithm = 'ES256') => (await signers.open(ARN, alg, 'a-kid')) as Signer

  it.each([
    'ThrottlingException',
    'KMSInternalException',
    'DependencyTimeoutException',
    'KeyUnavailableException',
    'AccessDeniedException',
    'DisabledException',
    'KMSInvalidStateException',
    'ExpiredTokenException',
  ])('%s makes the signer unavailable, without the details', async (type) => {
    const key = await signer()
    kms.answer = () => kmsError(type)
    await expect(key.sign(MESSAGE)).rejects.toMatchObject(unavailable(type))
    expect(kms.calls.filter((call) => call === 'Sign').length).toBeLessThanOrEqual(3)
  })

  it('that throttles once is followed by another attempt', async () => {
    const key = await signer()
    let attempts = 0
    kms.answer = (_call, { Message = '' }) =>
      ++attempts === 1
        ? kmsError('ThrottlingException')
        : {
            body: {
              Signature: signWith('sha256', Buffer.from(Message, 'base64'), pair.privateKey).toString(
                'base64',
              ),
            },
          }
    await expect(key.sign(MESSAGE)).resolves.toHaveLength(64)
    expect(attempts).toBe(2)
  })

  it.each([
    ['empty', ''],
    ['R and S without DER', Buffer.alloc(64, 1).toString('base64')],
    ['a zero R', Buffer.from('3006020100020101', 'hex').toString('base64')],
    ['a negative R', Buffer.from('3006020180020101', 'hex').toString('base64')],
    ['a long form of R', Buffer.from('300702020001020101', 'hex').toString('base64')],
    ['bytes after S', Buffer.from('3007020101020101' + '00', 'hex').toString('base64')],
    ['bytes after the sequence', Buffer.from('300602010102010100', 'hex').toString('base64')],
    ['an R of 33 bytes', Buffer.from(`3026022101${'00'.repeat(32)}020101`, 'hex').toString('base64')],
    ['an R and no S', Buffer.from('3003020101', 'hex').toString('base64')],
  ])('with a signature that is %s makes no token', async (_name, Signature) => {
    const key = await signer()
    kms.answer = () => ({ body: { Signature } })
    await expect(signToken({}, key, { lifetimeSeconds: 60 })).rejects.toMatchObject({
      code: 'signer_unavailable',
      message: expect.stringMatching(
        /^AWS KMS is not available \(The signature is not an ECDSA signature in DER/,
      ),
    })
  })

  it('with short R and S makes 64 bytes', async () => {
    const key = await signer()
    kms.answer = () => ({ body: { Signature: Buffer.from('3006020101020102', 'hex').toString('base64') } })
    const signature = Buffer.from(await key.sign(MESSAGE))
    expect(signature.toString('hex')).toBe(`${'00'.repeat(31)}01${'00'.repeat(31)}02`)
  })

  it('that is not JSON makes the signer unavailable', async () => {
    const key = await signer()
    kms.answer = () => ({ body: '<html>a proxy</html>' })
    await expect(key.sign(MESSAGE)).rejects.toMatchObject({ code: 'signer_unavailable' })
  })

  it('is for the hash of a token that KMS would not take whole', async () => {
    const key = await signer()
    const types: string[] = []
    kms.answer = (_call, { MessageType = '', Message = '' }) => {
      types.push(`${MessageType} ${Buffer.from(Message, 'base64').length}`)
      return { body: { Signature: Buffer.from('3006020101020102', 'hex').toString('base64') } }
    }
    await key.sign(Buffer.alloc(4096))
    await key.sign(Buffer.alloc(4097))
    expect(types).toEqual(['RAW 4096', 'DIGEST 32'])
  })

  it('signs with Ed25519, up to what KMS takes', async () => {
    kms.answer = ofKey(ed25519, (_call, { Message = '', SigningAlgorithm, MessageType }) =>
      SigningAlgorithm === 'ED25519_SHA_512' && MessageType === 'RAW'
        ? {
            body: {
              Signature: signWith(null, Buffer.from(Message, 'base64'), ed25519.privateKey).toString(
                'base64',
              ),
            },
          }
        : kmsError('ValidationException'),
    )
    const key = await signer('EdDSA')
    expect(parseCompact(await signToken({}, key, { lifetimeSeconds: 60 })).header).toEqual({
      alg: 'EdDSA',
      typ: 'JWT',
      kid: 'a-kid',
    })
    await expect(signToken({ x: 'x'.repeat(4000) }, key, { lifetimeSeconds: 60 })).rejects.toMatchObject({
      name: 'SigningError',
      reason: 'token_too_large',
      message: expect.stringMatching(/AWS KMS signs at most 4096 with EdDSA\.$/),
    })
  })

  it.each([
    ['as long as the hash makes', constants.RSA_PSS_SALTLEN_DIGEST, true],
    ['of another length makes no', constants.RSA_PSS_SALTLEN_MAX_SIGN, false],
  ])('with a salt %s key for PS256', async (_words, saltLength, isGood) => {
    kms.answer = ofKey(rsa, (call, { Message = '' }) => {
      if (call !== 'Sign') return { body: {} }
      const key = { key: rsa.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
      return {
        body: { Signature: signWith('sha256', Buffer.from(Message, 'base64'), key).toString('base64') },
      }
    })
    const made = signers.create('PS256', 'servicea')
    if (isGood) await expect(made).resolves.toMatchObject({ reference: ARN })
    else await expect(made).rejects.toMatchObject({ name: 'KeyError', reason: 'invalid_key' })
  })

  it('with a signature by another key destroys the new key', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    kms.answer = ofKey(pair, signedBy(other.privateKey))
    await expect(signers.create('ES256', 'servicea')).rejects.toMatchObject({
      name: 'KeyError',
      message: expect.stringMatching(/^The first signature of servicea-[\w-]{22} does not verify\.$/),
    })
    expect(kms.calls.at(-1)).toBe('ScheduleKeyDeletion')
  })

  it('that a new key is unknown is asked for again', async () => {
    let unknown = 2
    const known = ofKey(pair, signedBy(pair.privateKey))
    kms.answer = (call, input) =>
      call === 'GetPublicKey' && unknown-- > 0 ? kmsError('NotFoundException') : known(call, input)
    await expect(signers.create('ES256', 'servicea')).resolves.toMatchObject({ reference: ARN })
  })

  it('that a key is pending deletion counts as destroyed', async () => {
    kms.answer = () => kmsError('KMSInvalidStateException', `${ARN} is pending deletion.`)
    await expect(signers.destroy(ARN)).resolves.toBeUndefined()
    await expect(signers.open(ARN, 'ES256', 'a-kid')).rejects.toMatchObject({
      name: 'KeyError',
      message: 'Key a-kid is not in KMS.',
    })
  })
})
