import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { readIfThere, withFolderLock, writePrivateFile, writePublicFile } from '@hallpass/private-files'

/** A year: short enough that a forgotten development authority dies by itself. */
const AUTHORITY_DAYS = 365
const LEAF_DAYS = 90
/** Renewed when less is left, so that a suite which runs over a weekend does not meet the end. */
const RENEW_BEFORE_MS = 7 * 24 * 60 * 60 * 1000

const LOCALHOST = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1'] }

export interface DevelopmentCertificates {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

/**
 * Makes the development authority and the certificate for `localhost` (and `dnsNames`, e.g. the host names of a
 * compose file) under `<stateFolder>/certificates`, unless good ones are there. Safe when several processes ask at once.
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
  if (await isGood(files, dnsNames, now)) return files
  await withFolderLock(folder, async () => {
    if (await isGood(files, dnsNames, now)) return
    // The generator takes a tenth of a second to load, and most starts do not need it.
    const { createAuthority, issueLeaf } = await import('./authority.ts')
    let certificate = await readIfThere(files.caFile)
    let privateKey = await readIfThere(caKeyFile)
    if (!certificate || !privateKey || expiresSoon(certificate, now)) {
      ;({ certificate, privateKey } = await createAuthority('Hallpass development CA', {
        days: AUTHORITY_DAYS,
        now,
      }))
      await writePrivateFile(caKeyFile, privateKey)
      await writePublicFile(files.caFile, certificate)
      // The name under which the documented curl commands look for it.
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

async function isGood(
  files: DevelopmentCertificates,
  dnsNames: readonly string[],
  now: number,
): Promise<boolean> {
  const [ca, cert, key] = await Promise.all([files.caFile, files.certFile, files.keyFile].map(readIfThere))
  if (!ca || !cert || !key || expiresSoon(ca, now) || expiresSoon(cert, now)) return false
  const leaf = new X509Certificate(cert)
  return (
    leaf.verify(new X509Certificate(ca).publicKey) &&
    dnsNames.every((name) => leaf.checkHost(name) !== undefined)
  )
}

const expiresSoon = (certificate: string, now: number) =>
  new Date(new X509Certificate(certificate).validTo).getTime() - now < RENEW_BEFORE_MS
