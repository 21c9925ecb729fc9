import type { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import {
  readIfThere,
  readPrivateIfThere,
  withFolderLock,
  writePrivateFile,
  writePublicFile,
} from '@hallpass/private-files'
import { createAuthority, issueLeaf } from './authority.ts'
import { readCertificate, readKeyOf } from './read-pair.ts'

/** A year: short enough that a forgotten development CA expires. */
const AUTHORITY_DAYS = 365
const LEAF_DAYS = 90
/** Renewed when less is left, so that certificates do not expire in services that run for days. */
const RENEW_BEFORE_MS = 7 * 24 * 60 * 60 * 1000

/** `localhost`, 127.0.0.1 and ::1. */
const LOCALHOST = {
  dnsNames: ['localhost'],
  ipAddresses: [Buffer.from([127, 0, 0, 1]), Buffer.from([...Array(15).fill(0), 1])],
}

export interface DevelopmentCertificates {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/**
 * Creates the development CA and the certificate for `localhost` (and `dnsNames`, e.g. the host names of a compose file)
 * in `<stateFolder>/certificates`, unless valid ones exist. Safe for concurrent processes.
 * @throws {StateFileError} if an existing file is corrupt. It is not replaced, because clients may trust it.
 */
export async function ensureDevelopmentCertificates(
  stateFolder: string,
  { dnsNames = [] as readonly string[], now = Date.now() } = {},
): Promise<DevelopmentCertificates> {
  const folder = join(stateFolder, 'certificates')
  const files = {
    caFile: join(folder, 'ca.pem'),
    certFile: join(folder, 'localhost.pem'),
    keyFile: join(folder, 'localhost-key.pem'),
  }
  const caKeyFile = join(folder, 'ca-key.pem')
  // Outside the lock, a key and its certificate do not match while another process is between renewing the one and the other.
  if (await isGood(folder, files, dnsNames, now).catch(() => false)) return files
  await withFolderLock(folder, async () => {
    if (await isGood(folder, files, dnsNames, now)) return
    const remedy = remedyIn(folder)
    let certificate = await readIfThere(files.caFile)
    let privateKey = await readPrivateIfThere(caKeyFile)
    const authority =
      certificate === undefined ? undefined : readCertificate(files.caFile, certificate, remedy)
    if (authority && privateKey !== undefined) readKeyOf(authority, caKeyFile, privateKey, remedy)
    if (!certificate || !privateKey || !authority || expiresSoon(authority, now)) {
      ;({ certificate, privateKey } = await createAuthority('Hallpass development CA', {
        days: AUTHORITY_DAYS,
        now,
      }))
      await writePrivateFile(caKeyFile, privateKey)
      await writePublicFile(files.caFile, certificate)
      // The file name in the documented curl commands.
      await writePublicFile(join(folder, 'test-ca.crt'), certificate)
    }
    const leaf = await issueLeaf(
      { certificate, privateKey },
      { ...LOCALHOST, dnsNames: [...LOCALHOST.dnsNames, ...dnsNames], days: LEAF_DAYS, now },
    )
    await writePrivateFile(files.keyFile, leaf.privateKey)
    await writePublicFile(files.certFile, leaf.certificate)
  })
  return files
}

const remedyIn = (folder: string) =>
  `Restore it, or delete ${folder} and start again: new certificates are created.`

async function isGood(
  folder: string,
  files: DevelopmentCertificates,
  dnsNames: readonly string[],
  now: number,
): Promise<boolean> {
  const [ca, cert, key] = await Promise.all([files.caFile, files.certFile, files.keyFile].map(readIfThere))
  if (ca === undefined || cert === undefined || key === undefined) return false
  const remedy = remedyIn(folder)
  const authority = readCertificate(files.caFile, ca, remedy)
  const leaf = readCertificate(files.certFile, cert, remedy)
  readKeyOf(leaf, files.keyFile, key, remedy)
  return (
    !expiresSoon(authority, now) &&
    !expiresSoon(leaf, now) &&
    leaf.verify(authority.publicKey) &&
    dnsNames.every((name) => leaf.checkHost(name) !== undefined)
  )
}

const expiresSoon = (certificate: X509Certificate, now: number) =>
  new Date(certificate.validTo).getTime() - now < RENEW_BEFORE_MS
