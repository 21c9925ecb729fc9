import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '@hallpass/service-kit'
import { afterAll, describe, expect, it } from '@jest/globals'
import { signersConfig } from './index.ts'

const folder = mkdtempSync(join(tmpdir(), 'hallpass-signers-config-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'file')
writeFileSync(file, 'x')

const read = (env: Record<string, string>, isShared = false) =>
  readConfig(env, (variables) => signersConfig(variables, { stateFolder: '/state', isShared }))
const problems = (env: Record<string, string>, isShared = false): readonly string[] => {
  try {
    read(env, isShared)
    return []
  } catch (error) {
    return (error as { problems: readonly string[] }).problems
  }
}

const TOKEN = { SIGNER: 'pkcs11', PKCS11_MODULE: file, PKCS11_TOKEN: 'hallpass', PKCS11_PIN_FILE: file }
const KMS = { SIGNER: 'aws-kms', AWS_REGION: 'eu-central-1' }

describe('the configuration of the signers', () => {
  it('wraps keys under a key in the state folder by default', () => {
    expect(read({})).toEqual({
      signer: 'wrapped',
      keyEncryption: { file: '/state/key-encryption.key', create: true },
    })
  })

  it('makes no key-encryption key that other machines do not have', () => {
    expect(problems({}, true)).toEqual([
      'KEY_ENCRYPTION_KEY_FILE or KEY_ENCRYPTION_KMS_KEY_ID is required with a shared store, and the same for all replicas: openssl rand -base64 32 > FILE && chmod 600 FILE',
    ])
    expect(read({ KEY_ENCRYPTION_KEY_FILE: file }, true)).toEqual({
      signer: 'wrapped',
      keyEncryption: { file, create: false },
    })
    expect(read({ KEY_ENCRYPTION_KMS_KEY_ID: 'alias/a', AWS_REGION: 'eu-central-1' }, true)).toEqual({
      signer: 'wrapped',
      keyEncryption: { kmsKeyId: 'alias/a', region: 'eu-central-1', endpoint: undefined },
    })
  })

  it('reads a token, with a thread of the pool left for everything else', () => {
    expect(read(TOKEN)).toEqual({
      signer: 'pkcs11',
      module: file,
      token: 'hallpass',
      pinFile: file,
      sessions: 3,
    })
    expect(read({ ...TOKEN, UV_THREADPOOL_SIZE: '16', PKCS11_SESSIONS: '12' })).toMatchObject({
      sessions: 12,
    })
    expect(problems({ ...TOKEN, PKCS11_SESSIONS: '4' })).toEqual([
      'PKCS11_SESSIONS must be less than UV_THREADPOOL_SIZE (4): a token that hangs would stop all file access',
    ])
  })

  it('reads AWS KMS', () => {
    expect(read(KMS)).toEqual({
      signer: 'aws-kms',
      region: 'eu-central-1',
      endpoint: undefined,
      deletionDays: 30,
    })
    expect(read({ ...KMS, KMS_ENDPOINT: 'http://127.0.0.1:5000/', KMS_DELETION_DAYS: '7' })).toMatchObject({
      endpoint: 'http://127.0.0.1:5000',
      deletionDays: 7,
    })
  })

  it.each([
    [{ SIGNER: 'hsm' }, ['SIGNER must be one of wrapped, pkcs11, aws-kms, but is "hsm"']],
    [{ SIGNER: 'aws-kms' }, ['AWS_REGION is required']],
    [{ ...KMS, KMS_DELETION_DAYS: '6' }, ['KMS_DELETION_DAYS must be an integer from 7 to 30, but is "6"']],
    [
      { ...KMS, KMS_ENDPOINT: 'http://kms.example' },
      ['KMS_ENDPOINT must be an https URL: over http, anyone on the path could sign'],
    ],
    [
      { SIGNER: 'pkcs11' },
      ['PKCS11_MODULE is required', 'PKCS11_TOKEN is required', 'PKCS11_PIN_FILE is required'],
    ],
    [
      { ...TOKEN, PKCS11_MODULE: '/absent/a.so', PKCS11_PIN: '1234' },
      [
        'PKCS11_PIN must not be in the environment; write the PIN to a file and set PKCS11_PIN_FILE',
        'PKCS11_MODULE must be the path of a library, e.g. /usr/lib/softhsm/libsofthsm2.so, but /absent/a.so does not exist',
      ],
    ],
    [
      { PKCS11_TOKEN: 'hallpass', KMS_DELETION_DAYS: '7' },
      [
        'PKCS11_TOKEN is only for SIGNER=pkcs11, but SIGNER is wrapped',
        'KMS_DELETION_DAYS is only for SIGNER=aws-kms, but SIGNER is wrapped',
      ],
    ],
    [
      { ...KMS, KEY_ENCRYPTION_KEY_FILE: file },
      ['KEY_ENCRYPTION_KEY_FILE is only for SIGNER=wrapped, but SIGNER is aws-kms'],
    ],
    [
      { KEY_ENCRYPTION_KEY_FILE: file, KEY_ENCRYPTION_KMS_KEY_ID: 'a', AWS_REGION: 'x' },
      ['KEY_ENCRYPTION_KEY_FILE and KEY_ENCRYPTION_KMS_KEY_ID are alternatives; set one'],
    ],
    [
      { KEY_ENCRYPTION_KEY_FILE: '/absent' },
      ['KEY_ENCRYPTION_KEY_FILE must be a file, but /absent does not exist'],
    ],
    [{ KEY_ENCRYPTION_KMS_KEY_ID: 'alias/a' }, ['AWS_REGION is required']],
  ])('%j is rejected with every fault', (env, expected) => {
    expect(problems(env)).toEqual(expected)
  })
})
