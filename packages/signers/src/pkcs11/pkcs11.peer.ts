import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { inspect } from 'node:util'
import { ALGORITHMS, type Signer } from '@hallpass/tokens'
import { settlesWithoutTheEventLoop } from '@hallpass/tokens/testing'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { openSigners } from '../index.ts'
import { destroyContract, signersContract } from '../testing/contract.ts'
import { describeWithSoftHsm } from '../testing/describe-with.ts'
import { peerEnvironment, softHsmLibrary, usePeerModules } from '../testing/peers.ts'
import { SoftHsm } from '../testing/softhsm.ts'
import { pkcs11Signers } from './index.ts'
import { CK, CKA, newPkcs11 } from './pkcs11js.ts'

const MESSAGE = Buffer.from('a message')
/** The time for which a lost token is not looked for again. */
const PAUSE_MS = 1_100
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const unavailable = (fault: string | RegExp) => ({
  name: 'SignerUnavailableError',
  status: 503,
  code: 'signer_unavailable',
  message:
    typeof fault === 'string'
      ? `PKCS#11 token hallpass is not available (${fault}).`
      : expect.stringMatching(fault),
})

describeWithSoftHsm()('keys in a PKCS#11 token', () => {
  let hsm: SoftHsm
  let signers: ReturnType<typeof pkcs11Signers>
  beforeAll(async () => {
    usePeerModules()
    hsm = await SoftHsm.create()
    signers = pkcs11Signers(hsm.options)
  })
  afterAll(async () => {
    await signers.close()
    await hsm.remove()
  })

  const create = async (alg: 'RS256' | 'ES256' | 'EdDSA' = 'ES256') => {
    const { key, reference } = await signers.create(alg, 'servicea')
    return { key: key as Signer, reference }
  }

  describe('do what all signers do:', () => {
    signersContract(
      async () => ({
        config: { signer: 'pkcs11', ...hsm.options },
        environment: { ...peerEnvironment, SOFTHSM2_CONF: hsm.configFile },
        algorithms: ALGORITHMS,
        unknownReference: 'pkcs11:token=hallpass;object=a-kid;id=%00%01;type=private',
        end: async () => {},
      }),
      ALGORITHMS,
    )
    destroyContract(() => signers)
  })

  it('sign no more after another process has destroyed them', async () => {
    const { key, reference } = await create()
    await expect(key.sign(MESSAGE)).resolves.toHaveLength(64)
    const other = pkcs11Signers(hsm.options)
    await other.destroy(reference)
    await other.close()
    await expect(key.sign(MESSAGE)).rejects.toMatchObject({
      ...unavailable('the signing key is not in it'),
      headers: { 'retry-after': '1' },
    })
  })

  it('are named after their kid, by a URI that other programs read', async () => {
    const { key, reference } = await create()
    const id = Buffer.from(key.kid).toString('hex').replace(/../g, '%$&')
    expect(reference).toBe(`pkcs11:token=hallpass;object=${key.kid};id=${id};type=private`)
    await signers.destroy(reference)
  })

  it.each(['RS256', 'ES256', 'EdDSA'] as const)('cannot be read out of the token (%s)', async (alg) => {
    const { key, reference } = await create(alg)
    // The same library and login as the signers use.
    const pkcs11 = newPkcs11()
    pkcs11.load(hsm.options.module)
    const slot = pkcs11
      .C_GetSlotList(true)
      .find((at) => pkcs11.C_GetTokenInfo(at).label.trim() === 'hallpass')
    const session = pkcs11.C_OpenSession(slot as Buffer, CK.SERIAL_SESSION)
    pkcs11.C_FindObjectsInit(session, [
      { type: CKA.CLASS, value: CK.PRIVATE_KEY },
      { type: CKA.LABEL, value: key.kid },
    ])
    const [object] = pkcs11.C_FindObjects(session, 1)
    pkcs11.C_FindObjectsFinal(session)
    for (const secret of [alg === 'RS256' ? CKA.PRIVATE_EXPONENT : CKA.VALUE])
      expect(() => pkcs11.C_GetAttributeValue(session, object as Buffer, [{ type: secret }])).toThrow(
        'CKR_ATTRIBUTE_SENSITIVE',
      )
    const flags = pkcs11.C_GetAttributeValue(session, object as Buffer, [
      { type: CKA.SENSITIVE },
      { type: CKA.EXTRACTABLE },
      { type: CKA.TOKEN },
      { type: CKA.SIGN },
    ])
    expect(flags.map(({ value }) => (value as Buffer)[0])).toEqual([1, 0, 1, 1])
    // And nobody can make it readable afterwards.
    for (const [type, value] of [
      [CKA.SENSITIVE, false],
      [CKA.EXTRACTABLE, true],
    ] as const)
      expect(() => pkcs11.C_SetAttributeValue(session, object as Buffer, [{ type, value }])).toThrow(/CKR_/)
    pkcs11.C_CloseSession(session)
    await signers.destroy(reference)
  })

  it('sign on another thread, and the event loop goes on', async () => {
    const { key, reference } = await create('RS256')
    expect(await settlesWithoutTheEventLoop(key.sign(MESSAGE))).toBe(false)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    for (let round = 0; round < 20; round += 1)
      await Promise.all(Array.from({ length: 16 }, () => key.sign(MESSAGE)))
    delay.disable()
    // An RSA signature takes 0.7 ms and 16 of them 11 ms, on an idle machine.
    expect(delay.percentile(50) / 1e6).toBeLessThan(10)
    await signers.destroy(reference)
  })

  it('are unavailable while the token is away, and sign again when it is back', async () => {
    const { key, reference } = await create()
    for (let round = 0; round < 2; round += 1) {
      hsm.unplug()
      try {
        await expect(key.sign(MESSAGE)).rejects.toMatchObject(unavailable(/CKR_|not present/))
        await expect(signers.check()).rejects.toMatchObject(unavailable(/CKR_|not present/))
        await expect(signers.create('ES256', 'servicea')).rejects.toMatchObject(
          unavailable(/CKR_|not present/),
        )
        await expect(signers.open(reference, 'ES256', key.kid)).rejects.toMatchObject(
          unavailable(/CKR_|not present/),
        )
      } finally {
        hsm.plugIn()
      }
      await pause(PAUSE_MS)
      await expect(signers.check()).resolves.toBeUndefined()
      await expect(key.sign(MESSAGE)).resolves.toHaveLength(64)
    }
    await signers.destroy(reference)
  })

  it('lose no request that was under way when the token came back', async () => {
    const { key, reference } = await create()
    hsm.unplug()
    await expect(key.sign(MESSAGE)).rejects.toMatchObject({ code: 'signer_unavailable' })
    hsm.plugIn()
    await pause(PAUSE_MS)
    const signatures = await Promise.all(Array.from({ length: 200 }, () => key.sign(MESSAGE)))
    expect(new Set(signatures.map(({ length }) => length))).toEqual(new Set([64]))
    await signers.destroy(reference)
  })

  it('are unavailable with a wrong PIN, which is tried once', async () => {
    await hsm.writePin('000000')
    // A token needs the PIN once for a process.
    await signers.close()
    const other = pkcs11Signers(hsm.options)
    try {
      const error = await other.check().catch((thrown: unknown) => thrown)
      expect(error).toMatchObject(unavailable('CKR_PIN_INCORRECT'))
      // Nor does the log of the error and all its causes show the PIN.
      expect(inspect(error, { depth: 10 })).not.toContain('000000')
      await expect(other.check()).rejects.toMatchObject(
        unavailable(
          'it rejected the PIN in PKCS11_PIN_FILE, which is not tried again until the file changes',
        ),
      )
      await hsm.restorePin()
      await expect(other.check()).resolves.toBeUndefined()
    } finally {
      await hsm.restorePin()
      signers = other
    }
  })

  it.each(['644', '640'])('are unavailable if the PIN file has mode %s', async (mode) => {
    await signers.close()
    await chmod(hsm.options.pinFile, Number.parseInt(mode, 8))
    const other = pkcs11Signers(hsm.options)
    const error = (await other.check().catch((thrown: unknown) => thrown)) as Error
    expect(error).toMatchObject({
      ...unavailable('PKCS11_PIN_FILE cannot be used'),
      cause: {
        name: 'StateFileError',
        message: expect.stringContaining(
          `${hsm.options.pinFile}: other users have access to it (mode 0${mode})`,
        ),
      },
    })
    await chmod(hsm.options.pinFile, 0o600)
    await expect(other.check()).resolves.toBeUndefined()
    signers = other
  })

  it('need a token with the label', async () => {
    const other = pkcs11Signers({ ...hsm.options, token: 'elsewhere' })
    await expect(other.check()).rejects.toMatchObject({
      name: 'SignerUnavailableError',
      message: 'PKCS#11 token elsewhere is not available (it is not present).',
    })
    await other.close()
    await expect(signers.check()).resolves.toBeUndefined()
  })

  it('need a PKCS#11 library', async () => {
    const path = join(hsm.folder, 'text.so')
    await writeFile(path, 'text')
    expect(() => pkcs11Signers({ ...hsm.options, module: path })).toThrow(
      `PKCS11_MODULE ${path} is not a PKCS#11 library (`,
    )
    await rm(path)
    expect(softHsmLibrary).toBeDefined()
  })
})

describeWithSoftHsm()('a token without Ed25519', () => {
  let hsm: SoftHsm
  beforeAll(async () => {
    usePeerModules()
    hsm = await SoftHsm.create('old', '-CKM_EDDSA,CKM_EC_EDWARDS_KEY_PAIR_GEN')
  })
  afterAll(() => hsm.remove())

  it('is a configuration error at the start with EdDSA, and works with another algorithm', async () => {
    const config = { signer: 'pkcs11' as const, ...hsm.options }
    await expect(openSigners(config, 'EdDSA')).rejects.toMatchObject({
      name: 'ConfigError',
      problems: [
        'ALGORITHM: PKCS#11 token old cannot sign with EdDSA (no CKM_EDDSA). Set another ALGORITHM.',
      ],
    })
    const signers = await openSigners(config, 'ES256')
    await expect(signers.create('EdDSA', 'servicea')).rejects.toMatchObject({
      name: 'UnsupportedAlgorithmError',
    })
    const { reference } = await signers.create('ES256', 'servicea')
    await signers.destroy(reference)
    await signers.close()
  })

  it('that is away is no error at the start', async () => {
    const config = { signer: 'pkcs11' as const, ...hsm.options, token: 'not-yet' }
    const signers = await openSigners(config, 'EdDSA')
    await expect(signers.check()).rejects.toMatchObject({ code: 'signer_unavailable' })
    await signers.close()
  })
})
