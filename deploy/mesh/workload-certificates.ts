import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Makes a CA, in the role of istiod, and returns a function that issues workload certificates with SPIFFE IDs. */
export function workloadCertificates(folder: string) {
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '1']
  openssl('req', '-x509', ...newKey, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', '/O=mesh')
  return {
    caFile: file('ca.pem'),
    issue(name: string, subjectAltName: string) {
      const [certFile, keyFile] = [file(`${name}.pem`), file(`${name}.key`)]
      openssl(
        'req',
        '-x509',
        ...newKey,
        '-CA',
        file('ca.pem'),
        '-CAkey',
        file('ca.key'),
        '-keyout',
        keyFile,
        '-out',
        certFile,
        '-subj',
        '/O=mesh workload',
        '-addext',
        `subjectAltName=${subjectAltName}`,
        '-addext',
        'basicConstraints=critical,CA:FALSE',
      )
      return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
    },
  }
}
