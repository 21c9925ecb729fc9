import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AssertionType } from '@hallpass/callers'
import { TestAuthority } from '@hallpass/callers/testing'
import { type Environment, type HttpService, silentLog } from '@hallpass/service-kit'
import { publicJwks, signToken, thumbprint } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterAll, beforeAll } from '@jest/globals'
import { Agent, fetch } from 'undici'
import { createApp } from '../app.ts'
import { loadConfig } from '../config.ts'

const CLUSTER = 'https://kubernetes.default.svc.cluster.local'
const PROVIDER = 'https://login.example/realms/main'
export const POD = 'system:serviceaccount:default:service-a'
export const WORKLOAD = 'spiffe://example.org/service-a'

type Form = Readonly<Record<string, string>> | readonly (readonly [string, string])[] | string

/** A key whose `kid` is its thumbprint, as `hallpass token` sets it. */
function clientKey(name: string) {
  const key = testKey('ES256', name)
  return { ...key, kid: thumbprint(key.publicKey) }
}

/** The keys of the clients, and of the issuers of workloads' tokens. */
export const clientKeys = {
  servicea: clientKey('servicea'),
  serviceb: clientKey('serviceb'),
  operator: clientKey('operator'),
  cluster: clientKey('cluster'),
  provider: clientKey('provider'),
  spire: clientKey('spire'),
}

/**
 * Starts a factory behind a TLS listener that requests client certificates, with clients of every method. Its issuer is the
 * listener's URL and `path`, so that clients can discover it.
 */
export function useOAuthServer({ path = '/', env = {} as Environment } = {}) {
  const servers = new TestAuthority('servers')
  const clients = new TestAuthority('clients')
  const department = new TestAuthority('department', clients)
  const subject = [
    ['organization', 'Example'],
    ['commonName', 'batch'],
  ] as const
  const ofDepartment = department.issue({ subject })
  const certificates = {
    batch: clients.issue({ subject }),
    /** With the certificate of the intermediate CA that issued it. */
    chained: { ...ofDepartment, cert: ofDepartment.cert + department.pem },
    stranger: new TestAuthority('clients').issue({ subject: [['commonName', 'batch']] }),
  }
  const running = {} as { url: string; folder: string; service: HttpService; server: https.Server }
  const agents = new Map<object | undefined, Agent>()

  beforeAll(async () => {
    running.folder = await mkdtemp(join(tmpdir(), 'oauth-'))
    await writeFile(join(running.folder, 'servers.pem'), servers.pem)
    let answer: RequestListener | undefined
    // What a listener needs for tls_client_auth: it requests a certificate, and the factory verifies it.
    running.server = https.createServer(
      { ...servers.issueServer(), requestCert: true, rejectUnauthorized: false },
      (request, response) => answer?.(request, response),
    )
    await new Promise<void>((resolve) => running.server.listen(0, 'localhost', resolve))
    running.url = `https://localhost:${(running.server.address() as AddressInfo).port}`
    const config = loadConfig({
      PORT: '0',
      ALGORITHM: 'ES256',
      STATE_FOLDER: join(running.folder, 'state'),
      ISSUER: running.url + path,
      PUBLIC_URL: running.url,
      HTTPS_PORT: '0',
      CLIENT_CA_FILE: join(running.folder, 'clients.pem'),
      CALLERS: 'authenticated',
      TRUSTED_CALLERS_FILE: await writeTrustFile(running.folder, clients.pem),
      ...env,
    })
    running.service = await createApp(config, silentLog)
    answer = running.service.app
    if (config.callers.mode === 'open') return
    for (const keyId of ['servicea', 'serviceb', 'batch'])
      await server.fetch(`${running.url}/keys/${keyId}`, {
        headers: { authorization: `Bearer ${await server.assertion('operator')}` },
      })
  })
  afterAll(async () => {
    await Promise.all([...agents.values()].map((agent) => agent.close()))
    running.server.closeAllConnections()
    await new Promise((resolve) => running.server.close(resolve))
    await running.service.stop()
    await rm(running.folder, { recursive: true })
  })

  const server = {
    certificates,
    url: () => running.url,
    /** A folder with the trusted-callers file, and `servers.pem`: the CA of the server's certificate. */
    folder: () => running.folder,
    issuer: () => running.url + path,
    /** The platform's `fetch`, which trusts the server's CA and connects with a certificate. */
    fetch: (url: string | URL, options: object = {}, certificate?: { cert: string; key: string }) => {
      const dispatcher =
        agents.get(certificate) ?? new Agent({ connect: { ca: servers.pem, ...certificate } })
      agents.set(certificate, dispatcher)
      return fetch(url, { ...options, dispatcher }) as unknown as Promise<Response>
    },
    /** Sends a form to an endpoint. */
    async send(
      endpoint: string,
      form: Form,
      options: { headers?: Record<string, string>; certificate?: { cert: string; key: string } } = {},
    ) {
      const response = await server.fetch(
        running.url + endpoint,
        {
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded', ...options.headers },
          body: typeof form === 'string' ? form : new URLSearchParams(form as [string, string][]).toString(),
        },
        options.certificate,
      )
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: JSON.parse(text) }
    },
    /** A client's assertion (private_key_jwt). */
    assertion: (client: 'servicea' | 'serviceb' | 'operator', claims: object = {}) =>
      signToken({ iss: client, sub: client, aud: server.issuer(), ...claims }, clientKeys[client], {
        lifetimeSeconds: 30,
      }),
    /** The parameters of an assertion in a form. */
    asserting: async (client: 'servicea' | 'serviceb' | 'operator', claims: object = {}) => ({
      client_assertion_type: AssertionType.jwtBearer,
      client_assertion: await server.assertion(client, claims),
    }),
    /** A projected Kubernetes token, as the API server issues it: the audience in a list. */
    podToken: (claims: object = {}) =>
      signToken({ iss: CLUSTER, sub: POD, aud: [server.issuer()], ...claims }, clientKeys.cluster, {
        lifetimeSeconds: 3600,
      }),
    /** An access token that the client `batch-job` of an OpenID provider got for itself. */
    clientToken: (claims: object = {}) =>
      signToken(
        { iss: PROVIDER, sub: 'batch-job', client_id: 'batch-job', aud: server.issuer(), ...claims },
        clientKeys.provider,
        { lifetimeSeconds: 300, typ: 'at+jwt' },
      ),
    /** A JWT-SVID. */
    svid: (claims: object = {}) =>
      signToken({ sub: WORKLOAD, aud: [server.issuer()], ...claims }, clientKeys.spire, {
        lifetimeSeconds: 300,
      }),
  }
  return server
}

async function writeTrustFile(folder: string, ca: string): Promise<string> {
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 })
  for (const [name, key] of Object.entries(clientKeys))
    await write(`${name}.json`, JSON.stringify(publicJwks([key])))
  await write('clients.pem', ca)
  const callers = [
    {
      method: 'private_key_jwt',
      clientId: 'servicea',
      jwksFile: 'servicea.json',
      keyId: 'servicea',
      audiences: ['serviceb', 'https://orders.example/api'],
      scopes: ['orders:read', 'orders:write'],
    },
    {
      method: 'private_key_jwt',
      clientId: 'serviceb',
      jwksFile: 'serviceb.json',
      keyId: 'serviceb',
      audiences: ['servicec'],
    },
    { method: 'private_key_jwt', clientId: 'operator', jwksFile: 'operator.json', admin: true },
    {
      method: 'tls_client_auth',
      clientId: 'batch',
      caFile: 'clients.pem',
      subjectDn: 'CN=batch,O=Example',
      keyId: 'batch',
      audiences: ['serviceb'],
    },
    {
      method: 'kubernetes',
      issuer: CLUSTER,
      jwksFile: 'cluster.json',
      subjects: { [POD]: { keyId: 'servicea', audiences: ['serviceb'] } },
    },
    {
      method: 'oidc',
      issuer: PROVIDER,
      jwksFile: 'provider.json',
      clients: { 'batch-job': { keyId: 'servicea', audiences: ['serviceb'] } },
    },
    {
      method: 'spiffe',
      trustDomain: 'example.org',
      jwksFile: 'spire.json',
      subjects: {
        [WORKLOAD]: { keyId: 'servicea', audiences: ['serviceb'] },
        'spiffe://example.org/new': { keyId: 'new', audiences: ['serviceb'] },
      },
    },
  ]
  await write('callers.json', JSON.stringify({ callers }))
  return join(folder, 'callers.json')
}
