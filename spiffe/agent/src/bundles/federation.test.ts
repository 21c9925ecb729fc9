import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import {
  GrpcError,
  parseAndValidate,
  SpiffeBundle,
  verifyX509Svid,
  WorkloadApiClient,
  X509Bundle,
  X509BundleSet,
} from '@hallpass/spiffe'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { issueX509Svid, makeCertificateAuthority } from '../authorities/certificate-authority.ts'
import { type RunningAgent, startAgent } from '../testing/agent.ts'
import { until } from '../testing/sandbox.ts'

let home: RunningAgent
let foreign: RunningAgent
const open: WorkloadApiClient[] = []
afterEach(async () => {
  for (const client of open.splice(0)) client.close()
  await home?.stop()
  await foreign?.stop()
})

const clientOf = (agent: RunningAgent, name: string) => {
  const client = new WorkloadApiClient({ address: agent.address(name) })
  open.push(client)
  return client
}

/** Makes home federate with other.org as a user would: edits the entries file and copies the first bundle. */
async function federate(more: Readonly<Record<string, string>>, profile = 'https_spiffe') {
  const file = join(home.folder, 'spiffe/entries.yaml')
  await writeFile(join(home.folder, 'spiffe/other.org.json'), JSON.stringify(await foreign.admin.bundle()))
  const federation = { trustDomain: 'other.org', endpointUrl: foreign.urls.bundle, profile, ...more }
  const entry = {
    id: 'traveller',
    spiffeId: 'spiffe://example.org/traveller',
    selectors: ['socket:traveller'],
    federatesWith: ['other.org'],
  }
  const text = (await readFile(file, 'utf8')).replace(
    'entries:\n',
    `federation:\n  - ${JSON.stringify(federation)}\nentries:\n  - ${JSON.stringify(entry)}\n`,
  )
  await writeFile(file, text)
  const socket = home.socket('traveller')
  await until('the edit to be noticed', async () => existsSync(socket))
}
const spiffeProfile = { endpointSpiffeId: 'spiffe://other.org/spiffe-agent', bundleFile: 'other.org.json' }
const trustDomainsOf = async (name: string) =>
  (await clientOf(home, name).fetchX509Bundles()).x509Bundles.map(({ trustDomain }) => trustDomain.name)

describe('two trust domains', () => {
  beforeEach(async () => {
    home = await startAgent()
    foreign = await startAgent({ TRUST_DOMAIN: 'other.org', BUNDLE_REFRESH_SECONDS: '1' })
  })

  it('do not trust each other until one federates', async () => {
    const token = (await clientOf(foreign, 'client').fetchJwtSvid({ audience: 'server' })).marshal()
    expect(await trustDomainsOf('server')).toEqual(['example.org'])
    const bundles = await clientOf(home, 'server').fetchJwtBundles()
    expect(() => parseAndValidate(token, bundles, 'server')).toThrow(
      'jwtsvid: no bundle found for trust domain "other.org"',
    )
  })

  it('are trusted only by the workloads whose entries say so', async () => {
    await federate(spiffeProfile)
    expect(await trustDomainsOf('traveller')).toEqual(['example.org', 'other.org'])
    expect(await trustDomainsOf('server')).toEqual(['example.org'])
    const { id } = parseAndValidate(
      (await clientOf(foreign, 'client').fetchJwtSvid({ audience: 'server' })).marshal(),
      await clientOf(home, 'traveller').fetchJwtBundles(),
      'server',
    )
    expect(id.toString()).toBe('spiffe://other.org/client')
    const svid = await clientOf(foreign, 'client').fetchX509Svid()
    const { bundles } = await clientOf(home, 'traveller').fetchX509Context()
    expect(
      verifyX509Svid(
        svid.certificates.map(({ raw }) => raw),
        bundles,
      ).id.trustDomain.name,
    ).toBe('other.org')
  })

  it('cannot issue SVIDs for each other', async () => {
    const other = await makeCertificateAuthority('other.org', 60_000, Date.now())
    const own = await makeCertificateAuthority('example.org', 60_000, Date.now())
    const bundles = new X509BundleSet([
      X509Bundle.ofDer('other.org', other.certificate),
      X509Bundle.ofDer('example.org', own.certificate),
    ])
    const request = { dnsNames: [], lifetimeMs: 60_000, now: Date.now() }
    const forged = await issueX509Svid(other, { ...request, spiffeId: 'spiffe://example.org/server' })
    expect(() => verifyX509Svid([forged.certificate], bundles)).toThrow(
      'x509svid: could not verify leaf certificate: x509: certificate signed by unknown authority',
    )
    const honest = await issueX509Svid(own, { ...request, spiffeId: 'spiffe://example.org/server' })
    expect(verifyX509Svid([honest.certificate], bundles).id.path).toBe('/server')
  })

  it('follow each other through a rotation', async () => {
    await federate(spiffeProfile)
    const traveller = clientOf(home, 'traveller')
    const foreignKeys = async () =>
      (await traveller.fetchJwtBundles()).bundles.find(({ trustDomain }) => trustDomain.name === 'other.org')
        ?.authorities.length
    expect(await foreignKeys()).toBe(1)
    await foreign.admin.rotate('jwt')
    await until('the new key', async () => (await foreignKeys()) === 2)
  })

  it('store the newest federated bundle for a restart', async () => {
    await federate(spiffeProfile)
    await foreign.admin.rotate('jwt')
    const file = join(home.folder, 'spiffe/federated/other.org.json')
    await until('the bundle on disk', async () => {
      const text = await readFile(file, 'utf8').catch(() => undefined)
      return text !== undefined && SpiffeBundle.ofJson('other.org', text).jwt.authorities.length === 2
    })
  })

  it('is forgotten when the federation ends', async () => {
    await federate(spiffeProfile)
    const file = join(home.folder, 'spiffe/entries.yaml')
    const lines = (await readFile(file, 'utf8')).split('\n')
    await writeFile(
      file,
      lines.filter((line) => !/^federation:|other\.org/.test(line) || line.startsWith('#')).join('\n'),
    )
    await until(
      'the edit to be noticed',
      async () => !(await home.admin.entries()).some(({ id }) => id === 'traveller'),
    )
    await expect(trustDomainsOf('traveller')).rejects.toThrow(GrpcError)
  })
})

describe('the bundle endpoint', () => {
  it('is trusted with https_web if its certificate is valid', async () => {
    home = await startAgent()
    const web = await startAgent()
    const { certFile, keyFile, caFile } = await ensureDevelopmentCertificates(web.folder)
    const env = { CERT_FILE: certFile, KEY_FILE: keyFile, CA_FILE: caFile }
    await home.stop()
    home = await startAgent(env)
    foreign = await startAgent({ ...env, TRUST_DOMAIN: 'other.org', BUNDLE_ENDPOINT_PROFILE: 'https_web' })
    await federate({}, 'https_web')
    await until('the bundle', async () => (await trustDomainsOf('traveller')).includes('other.org'))
    await web.stop()
  })

  it('is not trusted with https_web if another CA has signed its certificate', async () => {
    foreign = await startAgent({ TRUST_DOMAIN: 'other.org' })
    const { caFile } = await ensureDevelopmentCertificates(foreign.folder)
    home = await startAgent({ CA_FILE: caFile })
    await federate({}, 'https_web')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await trustDomainsOf('traveller')).toEqual(['example.org'])
  })

  it('is not trusted with https_spiffe if it has another ID, and the previous bundle stays', async () => {
    home = await startAgent()
    foreign = await startAgent({ TRUST_DOMAIN: 'other.org' })
    await federate({ ...spiffeProfile, endpointSpiffeId: 'spiffe://other.org/somebody' })
    await foreign.admin.rotate('jwt')
    await new Promise((resolve) => setTimeout(resolve, 300))
    const bundles = (await clientOf(home, 'traveller').fetchJwtBundles()).bundles
    expect(bundles.find(({ trustDomain }) => trustDomain.name === 'other.org')?.authorities).toHaveLength(1)
  })

  it('answers only GET /', async () => {
    const { request } = await import('node:https')
    home = await startAgent()
    foreign = await startAgent({ TRUST_DOMAIN: 'other.org' })
    const bundle = SpiffeBundle.ofJson('other.org', JSON.stringify(await foreign.admin.bundle()))
    const tls = {
      ca: bundle.x509.toPem(),
      // An X.509-SVID contains a SPIFFE ID, not a host name.
      checkServerIdentity: (_host: string, { subjectaltname }: { subjectaltname?: string }) =>
        subjectaltname === `URI:${spiffeProfile.endpointSpiffeId}` ? undefined : new Error('somebody else'),
    }
    const status = (method: string, path: string) =>
      new Promise((resolve, reject) => {
        request(new URL(path, foreign.urls.bundle), { method, ...tls, agent: false }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
          .on('error', reject)
          .end()
      })
    expect(await Promise.all([status('GET', ''), status('POST', ''), status('GET', 'keys')])).toEqual([
      200, 405, 404,
    ])
  })
})
