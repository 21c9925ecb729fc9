import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { checkStateVersion, quoted, StateFileError } from '@hallpass/private-files'
import { keyEncryptionFromFile } from '@hallpass/signers/key-encryption'
import { checkLmdbFile } from '@hallpass/token-store/lmdb-file'
import { parseDocument } from 'yaml'
import type { Finding } from './finding.ts'

/** Folders that are not state: bundles are rebuilt from sources. */
const NOT_STATE = /^bundles(\/|$)/
/** The name of a file while it is being written (packages/private-files). */
const PART = /\.(?<pid>\d+)\.[0-9a-f]{8}\.part$/
const RENEW_BEFORE_MS = 24 * 3_600_000
const MIN_SECRET_LENGTH = 22

/** The content of a file that other files must match. */
interface Content {
  readonly keys: readonly KeyObject[]
  readonly certificates: readonly X509Certificate[]
  readonly isSecret: boolean
}

const NOTHING: Content = { keys: [], certificates: [], isSecret: false }

/** Reads every file of a state folder and reports each unusable one with the reason and a fix. */
export async function* stateFindings(folder: string, now: number): AsyncGenerator<Finding> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !NOT_STATE.test(relative(folder, file)))
    .sort()
  const contents = new Map<string, Content>()
  let bad = 0
  for (const file of files) {
    const found = await lookAt(file, folder, now)
    if ('what' in found) {
      bad += 1
      yield found
    } else contents.set(file, found)
    for (const finding of await permissions(file, 'what' in found ? NOTHING : found)) {
      bad += finding.state === 'bad' ? 1 : 0
      yield finding
    }
  }
  for (const finding of misfits(contents)) {
    bad += 1
    yield finding
  }
  const all = [...contents.values()]
  const count = (of: (content: Content) => number) => all.reduce((sum, content) => sum + of(content), 0)
  const privateKeys = count(({ keys }) => keys.filter(({ type }) => type === 'private').length)
  const certificates = count((content) => content.certificates.length)
  if (files.length > 0 && bad === 0)
    yield {
      state: 'good',
      what: `${files.length} state files are readable and valid: ${privateKeys} private keys, ${certificates} certificates`,
    }
}

/** The token cache fills its store again; the issuer's has keys and revocations. */
const remedyOfStore = (file: string) =>
  basename(dirname(dirname(file))) === 'issuer'
    ? `stop jwt-factory and restore ${quoted(dirname(file))} from a backup; without one, delete it: keys are then imported from their PEM files, revocations are forgotten`
    : `rm -r ${quoted(dirname(file))}`

async function lookAt(file: string, folder: string, now: number): Promise<Content | Finding> {
  const remedy = `Restore it, or: rm ${quoted(file)} && npm start`
  try {
    const writer = PART.exec(file)?.groups?.pid
    if (writer !== undefined && isAlive(Number(writer))) return NOTHING
    if (writer !== undefined)
      return { state: 'note', what: `${file} was left by an interrupted write`, remedy: `rm ${quoted(file)}` }
    if (basename(file) === 'data.mdb') {
      await checkLmdbFile(file, remedyOfStore(file))
      return NOTHING
    }
    if (basename(file) === 'lock.mdb') return NOTHING
    const text = await readFile(file, 'utf8')
    if (text.trim() === '') return bad(file, 'empty', remedy)
    if (basename(file) === 'key-encryption.key') {
      await keyEncryptionFromFile(file)
      return { ...NOTHING, isSecret: true }
    }
    if (file === join(folder, 'version')) {
      await checkStateVersion(folder)
      return NOTHING
    }
    const content = read(file, text)
    for (const certificate of content.certificates) {
      const ends = Date.parse(certificate.validTo)
      if (ends - now < RENEW_BEFORE_MS && !isRenewed(file))
        return bad(
          file,
          `a certificate that expires on ${new Date(ends).toISOString().slice(0, 10)}`,
          remedyOf(file),
        )
    }
    return content
  } catch (error) {
    if (error instanceof StateFileError)
      return { state: 'bad', what: `${error.file}: ${error.reason}`, remedy: error.remedy }
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return NOTHING
    if (code === 'EACCES' || code === 'EPERM')
      return bad(
        file,
        'the current user is not allowed to read it',
        `sudo chown $(id -un) ${quoted(file)} && chmod 600 ${quoted(file)}`,
      )
    // The messages of OpenSSL and JSON.parse may quote secrets.
    return bad(file, `not ${expected(file)}`, remedyOf(file))
  }
}

/** Returns whether a process with this ID runs, for any user. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const bad = (file: string, reason: string, remedy: string): Finding => ({
  state: 'bad',
  what: `${file}: ${reason}`,
  remedy,
})

const isOfAuthority = (file: string) => basename(dirname(file)) === 'certificates'
/** The agent replaces its authorities long before they expire. */
const isRenewed = (file: string) => basename(dirname(file)) === 'spiffe'

const remedyOf = (file: string) =>
  isOfAuthority(file)
    ? `rm -r ${quoted(dirname(file))} && npm start`
    : `Restore it, or: rm ${quoted(file)} && npm start`

const expected = (file: string) => {
  if (/\.(pem|crt|key)$/.test(file)) return 'a PEM key or certificate'
  if (file.endsWith('.json')) return 'JSON with usable keys'
  if (/\.ya?ml$/.test(file)) return 'YAML'
  return `a secret of at least ${MIN_SECRET_LENGTH} characters`
}

/** Reads a file in the format that its name implies. @throws {Error} if it has another format. */
function read(file: string, text: string): Content {
  if (/\.(pem|crt|key)$/.test(file)) {
    const content = readPem(text)
    if (content.keys.length + content.certificates.length === 0) throw new Error('no PEM')
    return content
  }
  if (file.endsWith('.json')) return readJson(JSON.parse(text))
  if (/\.ya?ml$/.test(file)) {
    const [error] = parseDocument(text).errors
    if (error) throw error
    return NOTHING
  }
  if (!/^\S+\s*$/.test(text) || text.trim().length < MIN_SECRET_LENGTH) throw new Error('no secret')
  return { ...NOTHING, isSecret: true }
}

function readPem(text: string): Content {
  const keys: KeyObject[] = []
  const certificates: X509Certificate[] = []
  const blocks = text.match(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g) ?? []
  // A block without its END line must not go unnoticed.
  if (blocks.length !== (text.match(/-----BEGIN /g) ?? []).length) throw new Error('a PEM without its end')
  for (const block of blocks) {
    if (block.includes('BEGIN CERTIFICATE')) certificates.push(new X509Certificate(block))
    else keys.push(block.includes('PRIVATE KEY') ? createPrivateKey(block) : createPublicKey(block))
  }
  return { keys, certificates, isSecret: keys.some(({ type }) => type === 'private') }
}

/** Collects the keys and certificates in JSON, as JWK or PEM, at any depth. */
function readJson(value: unknown): Content {
  const parts: Content[] = []
  if (typeof value === 'string' && value.includes('-----BEGIN ')) parts.push(readPem(value))
  if (typeof value === 'object' && value !== null) {
    const members = value as Record<string, unknown>
    if (typeof members.kty === 'string') parts.push(readJwk(members))
    else if (Object.hasOwn(members, 'keys') && !Array.isArray(members.keys)) throw new Error('no key set')
    for (const member of Object.values(members)) parts.push(readJson(member))
    const { certificate, privateKey } = members
    if (typeof certificate === 'string' && typeof privateKey === 'string')
      if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey)))
        throw new Error('another key')
  }
  return {
    keys: parts.flatMap(({ keys }) => keys),
    certificates: parts.flatMap(({ certificates }) => certificates),
    isSecret: parts.some(({ isSecret }) => isSecret),
  }
}

function readJwk(key: Record<string, unknown>): Content {
  const isSecret = 'd' in key
  const read = isSecret ? createPrivateKey : createPublicKey
  return { keys: [read({ key, format: 'jwk' })], certificates: [], isSecret }
}

/** Reports secrets that other users can read, for example after a copy from another machine. */
async function permissions(file: string, { isSecret, keys }: Content): Promise<Finding[]> {
  const mode = (await stat(file).catch(() => undefined))?.mode ?? 0
  if (!isSecret || (mode & 0o077) === 0) return []
  const what = keys.length > 0 ? 'private key' : 'secret'
  return [
    { state: 'bad', what: `Other users can read the ${what} ${file}`, remedy: `chmod 600 ${quoted(file)}` },
  ]
}

/** Reports key and certificate files that belong together by name but do not match. */
function* misfits(contents: ReadonlyMap<string, Content>): Iterable<Finding> {
  for (const [file, { keys }] of contents) {
    const [key] = keys
    if (key?.type !== 'private') continue
    const publicFile = file.replace(/-private\.pem$/, '-public.pem')
    const publicKey = contents.get(publicFile)?.keys[0]
    if (publicFile !== file && publicKey && !publicKey.equals(createPublicKey(key)))
      yield bad(
        publicFile,
        `not the public half of ${basename(file)}`,
        `openssl pkey -in ${quoted(file)} -pubout -out ${quoted(publicFile)}`,
      )
    const certificateFile = file.replace(/-key\.pem$/, '.pem')
    const certificate = contents.get(certificateFile)?.certificates[0]
    if (certificateFile !== file && certificate && !certificate.checkPrivateKey(key))
      yield bad(file, `not the private key of ${basename(certificateFile)}`, remedyOf(file))
  }
}
