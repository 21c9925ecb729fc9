import crypto, { createPrivateKey, createPublicKey } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'

const FOLDER = join(import.meta.dirname, '../.hallpass/test-keys')
/** A file that wants more than this has them made. */
const KEPT_KEYS = 16
/** Its tests are about the making itself. */
const MAKES_ITS_OWN = '/packages/tokens/src/keys.test.ts'

const original = { generateKeyPair: crypto.generateKeyPair, generateKeyPairSync: crypto.generateKeyPairSync }

/**
 * The RSA keys of development that the tests use: an RSA key takes longer to make than most test files run, and few tests
 * are about its making. Each is made by the first test that needs it and kept in the state folder. A test file gets a kept
 * key once at the most, so its keys differ from each other, as fresh ones do.
 */
export function useKeptRsaKeys(testFile) {
  if (testFile.endsWith(MAKES_ITS_OWN)) return replace(original)
  let used = 0
  const next = (type, options) => {
    const isUsual = type === 'rsa' && options?.modulusLength === 2048 && Object.keys(options).length === 1
    return isUsual && used < KEPT_KEYS ? join(FOLDER, `rsa-${used++}.pem`) : undefined
  }

  function generateKeyPairSync(type, options) {
    const file = next(type, options)
    if (file === undefined) return original.generateKeyPairSync(type, options)
    return read(file) ?? keep(file, original.generateKeyPairSync(type, options))
  }
  async function generate(type, options) {
    const file = next(type, options)
    if (file === undefined) return promisify(original.generateKeyPair)(type, options)
    return read(file) ?? keep(file, await promisify(original.generateKeyPair)(type, options))
  }
  function generateKeyPair(type, options, callback) {
    generate(type, options).then(
      ({ publicKey, privateKey }) => callback(null, publicKey, privateKey),
      (error) => callback(error),
    )
  }
  generateKeyPair[promisify.custom] = generate
  replace({ generateKeyPair, generateKeyPairSync })
}

function replace(functions) {
  Object.assign(crypto, functions)
  syncBuiltinESMExports()
}

function read(file) {
  try {
    const privateKey = createPrivateKey(readFileSync(file))
    return { privateKey, publicKey: createPublicKey(privateKey) }
  } catch {
    return undefined
  }
}

function keep(file, pair) {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 })
  const written = `${file}.${process.pid}`
  writeFileSync(written, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  renameSync(written, file)
  return pair
}
