import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isLoopback, type VariableReader } from '@hallpass/service-kit'
import type { KmsOptions, KmsSignersOptions } from './aws-kms/index.ts'
import type { TokenOptions } from './pkcs11/index.ts'

/** Where private keys are kept, and what that needs. */
export type SignersConfig =
  | { readonly signer: 'wrapped'; readonly keyEncryption: KeyEncryptionConfig }
  | ({ readonly signer: 'pkcs11' } & TokenOptions)
  | ({ readonly signer: 'aws-kms' } & KmsSignersOptions)

/** The key under which private keys are wrapped: in a file, or in AWS KMS. */
export type KeyEncryptionConfig =
  | { readonly file: string; readonly create: boolean }
  | ({ readonly kmsKeyId: string } & KmsOptions)

/** What decides the defaults. */
export interface SignersSurroundings {
  readonly stateFolder: string
  /** Whether several machines share the store: then all need the same key-encryption key, and none may make its own. */
  readonly isShared: boolean
}

/** The size of Node's thread pool unless `UV_THREADPOOL_SIZE` sets it. */
const THREADS = 4
/** Node's own limit. */
const MAX_THREADS = 1024
/** KMS keeps a key that is to be deleted for a week at least, and a month at most. */
const MIN_DELETION_DAYS = 7
const MAX_DELETION_DAYS = 30

const SIGNERS = ['wrapped', 'pkcs11', 'aws-kms'] as const
/** The variables of one signer, which another must not have: somebody forgot `SIGNER`. */
const OF_SIGNER: Readonly<Record<string, readonly string[]>> = {
  wrapped: ['KEY_ENCRYPTION_KEY_FILE', 'KEY_ENCRYPTION_KMS_KEY_ID'],
  pkcs11: ['PKCS11_MODULE', 'PKCS11_TOKEN', 'PKCS11_PIN_FILE', 'PKCS11_SESSIONS'],
  'aws-kms': ['KMS_DELETION_DAYS'],
}

/** Reads `SIGNER` and its variables. */
export function signersConfig(variables: VariableReader, surroundings: SignersSurroundings): SignersConfig {
  const signer = variables.oneOf('SIGNER', SIGNERS, 'wrapped')
  for (const [other, names] of Object.entries(OF_SIGNER))
    for (const name of names)
      variables.require(
        other === signer || variables.optionalText(name) === undefined,
        `${name} is only for SIGNER=${other}, but SIGNER is ${signer}`,
      )
  // A child process, a crash report and /proc show the environment.
  variables.require(
    variables.optionalText('PKCS11_PIN') === undefined,
    'PKCS11_PIN must not be in the environment; write the PIN to a file and set PKCS11_PIN_FILE',
  )
  switch (signer) {
    case 'pkcs11':
      return { signer, ...tokenConfig(variables) }
    case 'aws-kms':
      return {
        signer,
        ...kmsConfig(variables),
        deletionDays: variables.integer('KMS_DELETION_DAYS', MAX_DELETION_DAYS, {
          min: MIN_DELETION_DAYS,
          max: MAX_DELETION_DAYS,
        }),
      }
    case 'wrapped':
      return { signer, keyEncryption: keyEncryptionConfig(variables, surroundings) }
  }
}

function tokenConfig(variables: VariableReader): TokenOptions {
  const threads = variables.integer('UV_THREADPOOL_SIZE', THREADS, { min: 1, max: MAX_THREADS })
  const sessions = variables.integer('PKCS11_SESSIONS', Math.max(1, Math.min(threads, THREADS) - 1), {
    min: 1,
    max: MAX_THREADS,
  })
  variables.require(
    sessions < threads || threads === 1,
    `PKCS11_SESSIONS must be less than UV_THREADPOOL_SIZE (${threads}): a token that hangs would stop all file access`,
  )
  return {
    module: existing(
      variables,
      'PKCS11_MODULE',
      'the path of a library, e.g. /usr/lib/softhsm/libsofthsm2.so',
    ),
    token: variables.text('PKCS11_TOKEN'),
    pinFile: existing(variables, 'PKCS11_PIN_FILE', 'a file with the PIN of the token'),
    sessions,
  }
}

function existing(variables: VariableReader, name: string, what: string): string {
  const path = variables.text(name)
  variables.require(!path || existsSync(path), `${name} must be ${what}, but ${path} does not exist`)
  return path
}

function kmsConfig(variables: VariableReader): KmsOptions {
  const endpoint = variables.optionalUrl('KMS_ENDPOINT')
  variables.require(
    endpoint === undefined || endpoint.startsWith('https:') || isLoopback(new URL(endpoint).hostname),
    'KMS_ENDPOINT must be an https URL: over http, anyone on the path could sign',
  )
  return { region: variables.text('AWS_REGION'), endpoint }
}

function keyEncryptionConfig(
  variables: VariableReader,
  { stateFolder, isShared }: SignersSurroundings,
): KeyEncryptionConfig {
  const kmsKeyId = variables.optionalText('KEY_ENCRYPTION_KMS_KEY_ID')
  const file = variables.optionalText('KEY_ENCRYPTION_KEY_FILE')
  variables.require(
    kmsKeyId === undefined || file === undefined,
    'KEY_ENCRYPTION_KEY_FILE and KEY_ENCRYPTION_KMS_KEY_ID are alternatives; set one',
  )
  if (kmsKeyId !== undefined) return { kmsKeyId, ...kmsConfig(variables) }
  if (file !== undefined)
    return { file: existing(variables, 'KEY_ENCRYPTION_KEY_FILE', 'a file'), create: false }
  variables.require(
    !isShared,
    'KEY_ENCRYPTION_KEY_FILE or KEY_ENCRYPTION_KMS_KEY_ID is required with a shared store, and the same for all replicas: openssl rand -base64 32 > FILE && chmod 600 FILE',
  )
  return { file: join(stateFolder, 'key-encryption.key'), create: true }
}
