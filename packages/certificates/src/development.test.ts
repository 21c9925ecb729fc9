import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ensureDevelopmentCertificates } from './development.ts'

const DAY = 24 * 60 * 60 * 1000

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'certificates-'))
})
afterEach(() => rm(folder, { recursive: true }))

const read = async (file: string) => readFile(file, 'utf8')

describe('ensureDevelopmentCertificates', () => {
  it('makes a certificate for localhost and 127.0.0.1 that clients of the authority accept', async () => {
    const { caFile, certFile, keyFile } = await ensureDevelopmentCertificates(folder)
    const server = https.createServer(
      { cert: await read(certFile), key: await read(keyFile) },
      (_, response) => response.end('hello'),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const ca = await read(caFile)
    const get = (host: string, trusted: string | undefined) =>
      new Promise<number | undefined>((resolve, reject) => {
        https
          .get({ host, port, agent: false, ...(trusted ? { ca: trusted } : {}) }, (response) => {
            response.resume()
            resolve(response.statusCode)
          })
          .on('error', reject)
      })
    try {
      expect(await get('localhost', ca)).toBe(200)
      expect(await get('127.0.0.1', ca)).toBe(200)
      await expect(get('localhost', undefined)).rejects.toMatchObject({
        code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      })
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  it('makes both private keys readable only by their owner', async () => {
    const { keyFile } = await ensureDevelopmentCertificates(folder)
    for (const file of [keyFile, join(folder, 'certificates/ca-key.pem')])
      expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  it('makes them only once, even for several concurrent processes', async () => {
    await Promise.all(Array.from({ length: 5 }, () => ensureDevelopmentCertificates(folder)))
    const first = await read(join(folder, 'certificates/localhost.pem'))
    await ensureDevelopmentCertificates(folder)
    expect(await read(join(folder, 'certificates/localhost.pem'))).toBe(first)
    expect(await read(join(folder, 'certificates/test-ca.crt'))).toBe(
      await read(join(folder, 'certificates/ca.pem')),
    )
  })

  it('renews the leaf with the same authority a week before it expires', async () => {
    const { caFile, certFile } = await ensureDevelopmentCertificates(folder)
    const [ca, leaf] = [await read(caFile), await read(certFile)]
    await ensureDevelopmentCertificates(folder, { now: Date.now() + 84 * DAY })
    expect(await read(caFile)).toBe(ca)
    expect(await read(certFile)).not.toBe(leaf)
    expect(new X509Certificate(await read(certFile)).verify(new X509Certificate(ca).publicKey)).toBe(true)
  })

  it.each([
    ['ca.pem', 'not a certificate as PEM'],
    ['localhost.pem', 'not a certificate as PEM'],
    ['localhost-key.pem', 'not a private key as PEM'],
  ])('names %s when it is corrupt, and does not replace it', async (name, reason) => {
    await ensureDevelopmentCertificates(folder)
    const file = join(folder, 'certificates', name)
    await writeFile(file, 'nonsense')
    await expect(ensureDevelopmentCertificates(folder)).rejects.toThrow(
      `${file}: ${reason}. Restore it, or delete ${join(folder, 'certificates')} and start again: new certificates are created.`,
    )
    expect(await read(file)).toBe('nonsense')
  })

  it('names a key that does not match its certificate', async () => {
    const { keyFile } = await ensureDevelopmentCertificates(folder)
    await writeFile(keyFile, await read(join(folder, 'certificates/ca-key.pem')))
    await expect(ensureDevelopmentCertificates(folder)).rejects.toThrow(
      `${keyFile}: not the private key of its certificate. `,
    )
  })

  it('adds the host names that a deployment needs', async () => {
    const { certFile } = await ensureDevelopmentCertificates(folder, { dnsNames: ['service-b'] })
    const leaf = new X509Certificate(await read(certFile))
    expect(leaf.checkHost('service-b')).toBe('service-b')
    expect(leaf.checkHost('localhost')).toBe('localhost')
  })
})
