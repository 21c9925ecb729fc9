import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { ENDPOINT_VARIABLE } from '../workload-api/address.ts'
import { type Harness, startHarness } from './conformance-harness.ts'
import { FakeWorkloadApi, x509SvidMessage } from './fake-workload-api.ts'
import { type IssuedSvid, jwks, TestTrustDomain } from './trust-domain.ts'

/** How long a test waits at most for a change to take effect. */
const SETTLE_TIMEOUT_MS = 8000

/** The result of a connection to the X.509 port: the line received, undefined if rejected, and the server's certificate. */
export interface Probed {
  readonly line: string | undefined
  readonly leaf: Buffer | undefined
  readonly chain: readonly Buffer[]
}

/** A fake Workload API, a harness that uses it, and methods to test the harness from outside. */
export class ConformanceRig {
  readonly api: FakeWorkloadApi
  readonly domain: TestTrustDomain
  readonly #peers = new Map<string, Promise<IssuedSvid>>()
  #harness: Harness | undefined

  private constructor(api: FakeWorkloadApi, domain: TestTrustDomain) {
    this.api = api
    this.domain = domain
  }

  static async create(): Promise<ConformanceRig> {
    const rig = new ConformanceRig(
      await FakeWorkloadApi.create(),
      await TestTrustDomain.create('example.org'),
    )
    rig.api.setJwtBundles({ 'example.org': jwks([rig.domain.jwtKey]) })
    return rig
  }

  /** Starts a rig with an SVID and waits until its harness is ready. */
  static async started(): Promise<ConformanceRig> {
    const rig = await ConformanceRig.create()
    await rig.api.listen()
    await rig.serve('/workload')
    await (await rig.start()).ready
    return rig
  }

  async start(address = this.api.address): Promise<Harness> {
    process.env[ENDPOINT_VARIABLE] = address
    this.#harness = await startHarness()
    return this.#harness
  }

  get harness(): Harness {
    if (!this.#harness) throw new Error('The harness has not been started.')
    return this.#harness
  }

  /** Sets a new SVID with this path and returns it. */
  async serve(
    path: string,
    options: Partial<Parameters<FakeWorkloadApi['setX509Response']>[0]> = {},
  ): Promise<IssuedSvid> {
    const issued = await this.domain.authority.issue(this.domain.id(path))
    this.api.setX509Response({
      svids: [x509SvidMessage({ id: this.domain.id(path), issued, bundle: this.domain.x509Bundle })],
      ...options,
    })
    return issued
  }

  /** Connects to the X.509 port with this certificate as the client's. */
  async probe(client: IssuedSvid): Promise<Probed> {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: this.harness.x509Port,
      cert: client.pem,
      key: client.privateKeyPem,
      ca: this.domain.x509Bundle.toPem(),
      checkServerIdentity: () => undefined,
    })
    let line = ''
    let leaf: Buffer | undefined
    const chain: Buffer[] = []
    socket.once('secureConnect', () => {
      // Call this only once: on a client, a second call returns the next certificate of the chain.
      let next = socket.getPeerX509Certificate()
      leaf = next?.raw
      for (; next && chain.length < 5; next = next.issuerCertificate) chain.push(next.raw)
    })
    try {
      for await (const data of socket) line += data
    } catch {
      // Rejected in the handshake, so no line is received.
    }
    socket.destroy()
    return { line: line.trim() || undefined, leaf, chain }
  }

  /** Connects as a workload of the trust domain, always with the same certificate. */
  async probeAs(path: string): Promise<Probed> {
    const peer = this.#peers.get(path) ?? this.domain.authority.issue(this.domain.id(path))
    this.#peers.set(path, peer)
    return this.probe(await peer)
  }

  /** Waits until the harness presents this SVID; then it has processed all earlier updates. */
  async barrier(svid: IssuedSvid): Promise<void> {
    await this.until(
      async () => (await this.probeAs('/barrier')).leaf?.equals(svid.chain[0] as Buffer) ?? false,
    )
  }

  async until(condition: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + SETTLE_TIMEOUT_MS
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error('The change did not take effect in time.')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Runs a server with this certificate, makes the harness connect, and returns the HTTP status, 200 or 422. */
  async dialed(server: IssuedSvid): Promise<{ status: number; spiffe_id?: string }> {
    const listener = tls.createServer(
      { cert: server.pem, key: server.privateKeyPem, requestCert: true, ca: this.domain.x509Bundle.toPem() },
      (socket) => {
        socket.on('error', () => {})
        socket.resume()
      },
    )
    listener.on('tlsClientError', () => {})
    listener.listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const { port } = listener.address() as AddressInfo
    const answer = await this.control('/v1/x509/dial', { address: `127.0.0.1:${port}` })
    listener.close()
    return answer
  }

  async validate(token: string, audience = 'conformance'): Promise<{ status: number; spiffe_id?: string }> {
    return this.control('/v1/jwt/validate', { token, audience })
  }

  async control(path: string, body: unknown): Promise<{ status: number; [member: string]: unknown }> {
    const response = await fetch(`http://127.0.0.1:${this.harness.controlPort}${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    })
    return { ...((await response.json()) as object), status: response.status }
  }

  async close(): Promise<void> {
    await this.#harness?.close()
    await this.api.close()
    delete process.env[ENDPOINT_VARIABLE]
  }
}
