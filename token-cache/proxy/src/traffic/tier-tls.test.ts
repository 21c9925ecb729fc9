import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import https, { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { ConfigError } from '@hallpass/service-kit'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { loadConfig } from '../config.ts'
import { startTier, type TestTier } from '../testing/tier.ts'

interface Certified {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** AL-65: an attacker between two tiers must not be able to read the bearer token. */
describe('tiers that authenticate by certificate', () => {
  let folder: string
  let nobody: Certified
  let balancer: Certified
  let foreign: Certified
  let api: Server
  let tier: TestTier
  let authorization: string | undefined

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tier-tls-'))
    nobody = await certify('ours')
    balancer = await certify('ours', 'balancer.internal')
    foreign = await certify('theirs', 'balancer.internal')
    api = await startApi(nobody)
    tier = await startTier({
      proxies: 1,
      env: {
        TIER_TRUST: 'certificate',
        TIER_NAMES: 'balancer.internal',
        ...filesOf('ours'),
        OPERATOR_PORT: '0',
        API_URL: `https://localhost:${(api.address() as AddressInfo).port}`,
      },
    })
  })
  afterAll(async () => {
    await tier.stop()
    api.closeAllConnections()
    await new Promise((resolve) => api.close(resolve))
    await rm(folder, { recursive: true })
  })

  async function certify(authority: string, ...dnsNames: string[]): Promise<Certified> {
    const files = await ensureDevelopmentCertificates(join(folder, authority), { dnsNames })
    return {
      ca: readFileSync(files.caFile, 'utf8'),
      cert: readFileSync(files.certFile, 'utf8'),
      key: readFileSync(files.keyFile, 'utf8'),
    }
  }

  const filesOf = (authority: string) => ({
    CA_FILE: join(folder, authority, 'certificates/ca.pem'),
    CERT_FILE: join(folder, authority, 'certificates/localhost.pem'),
    KEY_FILE: join(folder, authority, 'certificates/localhost-key.pem'),
  })

  async function startApi({ cert, key }: Certified): Promise<Server> {
    const server = createServer({ cert, key }, (request, response) => {
      authorization = request.headers.authorization
      response.end('the API')
    })
    await new Promise<void>((resolve) => server.listen(0, resolve))
    return server
  }

  function ask(certified: Partial<Certified>, path = '/'): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      https
        .get(
          `${tier.proxies[0]?.url}${path}`,
          { ca: nobody.ca, ...certified, agent: false, headers: { 'remote-user': 'user1' } },
          (answer: IncomingMessage) => {
            let text = ''
            answer.on('data', (chunk) => {
              text += chunk
            })
            answer.on('end', () => resolve({ status: answer.statusCode as number, text }))
          },
        )
        .on('error', reject)
    })
  }

  it('AL-65 forward a request with its token only over TLS, to an API with a certificate of their own CA', async () => {
    expect(await ask(balancer)).toEqual({ status: 200, text: 'the API' })
    expect(authorization).toMatch(/^Bearer eyJ/)
  })

  it('AL-65 reject handshakes without a certificate or with one of another CA', async () => {
    await expect(ask({})).rejects.toThrow()
    await expect(ask({ cert: foreign.cert, key: foreign.key })).rejects.toThrow()
  })

  it('AL-65 reject a valid certificate with another name', async () => {
    const { status, text } = await ask(nobody)
    expect(status).toBe(401)
    expect(text).toContain('not_from_balancer')
  })

  it('AL-65 send no token to an API with a certificate of another CA', async () => {
    const impostor = await startApi(foreign)
    const misled = await startTier({
      proxies: 1,
      env: {
        TIER_TRUST: 'certificate',
        TIER_NAMES: 'balancer.internal',
        ...filesOf('ours'),
        OPERATOR_PORT: '0',
        API_URL: `https://localhost:${(impostor.address() as AddressInfo).port}`,
      },
    })
    authorization = undefined
    const kept = tier
    tier = misled
    try {
      const { status, text } = await ask(balancer)
      expect(status).toBe(502)
      expect(text).toContain('peer_not_trusted')
      expect(authorization).toBeUndefined()
    } finally {
      tier = kept
      await misled.stop()
      await new Promise((resolve) => impostor.close(resolve))
    }
  })

  it('AL-64 do not serve the key-value API on the balancer’s port', async () => {
    expect(await ask(balancer, '/api/8/http/keyvals/')).toEqual({ status: 200, text: 'the API' })
  })

  it('AL-65 cannot be configured to send identities unencrypted in production', () => {
    expect(() => loadConfig({ NODE_ENV: 'production', TIER_TRUST: 'secret' })).toThrow(ConfigError)
    expect(loadConfig({ NODE_ENV: 'production' }).trust.kind).toBe('certificate')
  })
})
