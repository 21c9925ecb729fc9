import { randomBytes, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { chown, copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ensureDevelopmentCertificates } from '@hallpass/certificates'
import { exportPrivatePem, generateSigningKey, publicJwks } from '@hallpass/tokens'

/** The user that runs in the image. */
const NODE = 1000

/** Certificates are renewed if they expire sooner, so that a suite can run for a week. */
const RENEW_BEFORE_MS = 7 * 24 * 3600 * 1000

/** The host names under which each service is called; its certificate must contain all of them. */
const TLS_NAMES: Readonly<Record<string, readonly string[]>> = {
  'jwt-factory': ['jwt-factory'],
  redis: ['redis'],
  'service-a': ['service-a'],
  'service-b': ['service-b'],
  'service-c': ['service-c'],
  'sse-server': ['sse-server'],
  'sse-gateway1': ['sse-gateway1'],
  'sse-gateway2': ['sse-gateway2'],
  'token-cache-api': ['token-cache-api'],
  'token-cache-auth': ['token-cache-auth'],
  'token-cache-proxy1': ['token-cache-proxy1', 'token-cache-proxy'],
  'token-cache-proxy2': ['token-cache-proxy2', 'token-cache-proxy'],
  'token-cache-load-balancer': ['token-cache-load-balancer'],
  'spiffe-agent': ['spiffe-agent'],
}

/** The callers that jwt-factory trusts and what each may request; each caller's key is stored in its own volume. */
const CALLERS: Readonly<Record<string, { clientId: string; rights: Record<string, unknown> }>> = {
  'service-a': { clientId: 'servicea', rights: { keyId: 'servicea' } },
  'service-b': { clientId: 'serviceb', rights: { keyId: 'serviceb' } },
  'service-c': { clientId: 'servicec', rights: {} },
  'token-cache-auth': {
    clientId: 'token-cache-auth',
    rights: { keyId: 'token-cache-auth', claims: ['sub'] },
  },
  operator: {
    clientId: 'operator',
    rights: {
      keyId: 'operator',
      admin: true,
      claims: ['sub'],
      scopes: ['publish', 'proxy:stream', 'stream:revoke'],
    },
  },
}

/**
 * Creates what the services of the compose file need at their first start, each in its own volume under `root`:
 * certificates from one CA, the keys with which callers authenticate, and the trusted-callers files. Keeps existing
 * files, except certificates that expire soon. The CA's key stays in a volume that no service mounts.
 */
export async function setUp(root: string): Promise<void> {
  for (const [service, dnsNames] of Object.entries(TLS_NAMES)) {
    const { caFile, certFile, keyFile } = await ensureDevelopmentCertificates(join(root, 'authority'), {
      dnsNames,
    })
    const folder = join(root, service, 'certificates')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await copyFile(caFile, join(folder, 'ca.pem'))
    // Copied before the next service's certificate overwrites it.
    if (!isGood(join(folder, 'localhost.pem'), caFile)) {
      await copyFile(keyFile, join(folder, 'localhost-key.pem'))
      await copyFile(certFile, join(folder, 'localhost.pem'))
    }
    await copyFile(caFile, join(await made(join(root, 'operator')), 'ca.pem'))
  }
  const trusted: Record<string, unknown>[] = []
  for (const [service, { clientId, rights }] of Object.entries(CALLERS)) {
    const keyFile = join(root, service, 'caller-key.pem')
    const keySet = join(root, 'jwt-factory/callers', `${clientId}.json`)
    if (!existsSync(keyFile) || !existsSync(keySet)) {
      const key = await generateSigningKey('ES256')
      await secret(keyFile, exportPrivatePem(key))
      await secret(keySet, JSON.stringify(publicJwks([key])))
      if (service === 'operator')
        await secret(join(root, 'service-a/callers/operator.json'), JSON.stringify(publicJwks([key])))
    }
    trusted.push({ method: 'private_key_jwt', clientId, jwksFile: `${clientId}.json`, ...rights })
  }
  await secret(join(root, 'jwt-factory/callers/callers.json'), JSON.stringify({ callers: trusted }, null, 2))
  const operator = { method: 'private_key_jwt', clientId: 'operator', jwksFile: 'operator.json', admin: true }
  await secret(join(root, 'service-a/callers/callers.json'), JSON.stringify({ callers: [operator] }, null, 2))

  const random = () => randomBytes(32).toString('base64url')
  for (const name of ['token-cache-proxy1', 'token-cache-proxy2'])
    await once(join(root, name, 'admin-token'), async () => {
      const shared = join(root, 'operator/token-cache-admin-token')
      await once(shared, random)
      return readFile(shared, 'utf8')
    })
  await setUpRedis(root, random)
  await once(join(root, 'identity-provider/client-secret'), random)
  const clientSecret = await readFile(join(root, 'identity-provider/client-secret'), 'utf8')
  await once(join(root, 'web-ui/env'), () => `AUTH0_SECRET=${clientSecret}\nRANDOM_SECRET=${random()}\n`)

  await give(root)
}

/** The services that store what they share in Redis; each has its own copy of the password. */
const REDIS_CLIENTS = [
  'sse-server',
  'sse-gateway1',
  'sse-gateway2',
  'token-cache-proxy1',
  'token-cache-proxy2',
  'identity-provider',
  'web-ui',
]

/** Creates the password of Redis, and gives its TLS files the names that they have on Kubernetes. */
async function setUpRedis(root: string, random: () => string): Promise<void> {
  const folder = join(root, 'redis')
  const passwordFile = join(folder, 'password')
  await once(passwordFile, random)
  const password = await readFile(passwordFile, 'utf8')
  await secret(join(folder, 'auth.conf'), `requirepass ${password}\n`)
  for (const service of REDIS_CLIENTS) {
    await secret(join(root, service, 'redis-password'), password)
    const certificates = await made(join(root, service, 'certificates'))
    await copyFile(join(folder, 'certificates/ca.pem'), join(certificates, 'ca.pem'))
  }
  for (const [from, to] of Object.entries({
    'ca.pem': 'ca.crt',
    'localhost.pem': 'tls.crt',
    'localhost-key.pem': 'tls.key',
  }))
    await copyFile(join(folder, 'certificates', from), join(folder, to))
}

/** Whether the certificate was signed by the current CA and is valid for at least another week. */
function isGood(certFile: string, caFile: string): boolean {
  if (!existsSync(certFile)) return false
  const [leaf, authority] = [certFile, caFile].map((file) => new X509Certificate(readFileSync(file)))
  const left = new Date(leaf?.validTo ?? 0).getTime() - Date.now()
  return authority !== undefined && leaf?.verify(authority.publicKey) === true && left > RENEW_BEFORE_MS
}

async function made(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

async function secret(path: string, text: string): Promise<void> {
  await made(dirname(path))
  await writeFile(path, text, { mode: 0o600 })
}

async function once(path: string, text: () => string | Promise<string>): Promise<void> {
  if (!existsSync(path)) await secret(path, await text())
}

async function give(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true }))
    await chown(join(entry.parentPath, entry.name), NODE, NODE)
}
