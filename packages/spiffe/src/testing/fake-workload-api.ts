import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { GrpcServer, type ServerCall } from '../grpc/server.ts'
import { GrpcError, type StatusCode, status } from '../grpc/status.ts'
import { socketUri } from '../workload-api/address.ts'
import {
  fetchJwtBundles,
  fetchJwtSvid,
  fetchX509Bundles,
  fetchX509Svid,
  SECURITY_HEADER,
  SECURITY_HEADER_VALUE,
  validateJwtSvid,
} from '../workload-api/methods.ts'
import type {
  JwtBundlesResponse,
  JwtSvidRequest,
  JwtSvidResponse,
  ValidateJwtSvidRequest,
  ValidateJwtSvidResponse,
  X509BundlesResponse,
  X509SvidMessage,
  X509SvidResponse,
} from '../workload-api/wire/messages.ts'
import type { X509Bundle } from '../x509-bundle/bundle.ts'
import type { IssuedSvid } from './trust-domain.ts'

/** What a stream sends: a state, or the error that ends it. */
type Answer<T> = T | GrpcError

/** A method's current answer, sent to each stream when it opens and on every change. */
class Channel<T> extends EventEmitter<{ change: [] }> {
  #answer: Answer<T> = new GrpcError(status.permissionDenied, 'no identity issued')
  #version = 0

  constructor() {
    super()
    this.setMaxListeners(0)
  }

  set(answer: Answer<T>): void {
    this.#answer = answer
    this.#version += 1
    this.emit('change')
  }

  async *tell(signal: AbortSignal): AsyncGenerator<T> {
    let told = -1
    while (!signal.aborted) {
      if (told === this.#version) await once(this, 'change', { signal }).catch(() => {})
      if (signal.aborted) return
      told = this.#version
      if (this.#answer instanceof GrpcError) throw this.#answer
      yield this.#answer
    }
  }
}

export interface RecordedCall {
  readonly method: string
  readonly securityHeader: readonly string[]
  readonly at: number
}

/**
 * A Workload API whose answers a test sets: a real gRPC server on a real socket in its own folder. Until an answer is set,
 * calls fail with PermissionDenied, as with an agent without an entry.
 */
export class FakeWorkloadApi {
  readonly folder: string
  readonly path: string
  /** For SPIFFE_ENDPOINT_SOCKET. */
  readonly address: string
  readonly calls: RecordedCall[] = []
  readonly jwtSvidRequests: JwtSvidRequest[] = []
  /** Handles every FetchJWTSVID. */
  onFetchJwtSvid: (request: JwtSvidRequest) => JwtSvidResponse | Promise<JwtSvidResponse> = () => {
    throw new GrpcError(status.permissionDenied, 'no identity issued')
  }
  onValidateJwtSvid: (request: ValidateJwtSvidRequest) => ValidateJwtSvidResponse = () => {
    throw new GrpcError(status.invalidArgument, 'token has expired')
  }
  readonly #x509 = new Channel<X509SvidResponse>()
  readonly #x509Bundles = new Channel<X509BundlesResponse>()
  readonly #jwtBundles = new Channel<JwtBundlesResponse>()
  #failures: { error: GrpcError; left: number } | undefined
  #server: GrpcServer | undefined

  private constructor(folder: string) {
    this.folder = folder
    this.path = join(folder, 'agent.sock')
    this.address = socketUri(this.path)
  }

  static async start(): Promise<FakeWorkloadApi> {
    const api = await FakeWorkloadApi.create()
    await api.listen()
    return api
  }

  /** Makes one that does not listen yet. The name of its folder needs percent-encoding in the address. */
  static async create(): Promise<FakeWorkloadApi> {
    return new FakeWorkloadApi(await mkdtemp(join(tmpdir(), 'spiffe #1 (100%)? ä-')))
  }

  /** Listens again after {@link crash}, or on TCP; returns the address. */
  async listen(on: { host: string; port: number } | undefined = undefined): Promise<string> {
    const server = new GrpcServer({ authorize: (call, path) => this.#admit(call, path) })
      .stream(fetchX509Svid, (_, { signal }) => this.#x509.tell(signal))
      .stream(fetchX509Bundles, (_, { signal }) => this.#x509Bundles.tell(signal))
      .stream(fetchJwtBundles, (_, { signal }) => this.#jwtBundles.tell(signal))
      .unary(fetchJwtSvid, (request) => {
        this.jwtSvidRequests.push(request)
        return this.onFetchJwtSvid(request)
      })
      .unary(validateJwtSvid, (request) => this.onValidateJwtSvid(request))
    const { port } = await server.listen(on ?? { path: this.path })
    this.#server = server
    return on ? `tcp://${on.host}:${port}` : this.address
  }

  setX509(...answer: readonly (IssuedIdentity | GrpcError)[]): void {
    const [first] = answer
    if (first instanceof GrpcError) this.#x509.set(first)
    else this.setX509Response({ svids: (answer as readonly IssuedIdentity[]).map(x509SvidMessage) })
  }

  setX509Response(response: Partial<X509SvidResponse>): void {
    this.#x509.set({ svids: [], crl: [], federatedBundles: new Map(), ...response })
  }

  setX509Bundles(answer: readonly X509Bundle[] | GrpcError): void {
    this.#x509Bundles.set(answer instanceof GrpcError ? answer : { crl: [], bundles: x509BundleMap(answer) })
  }

  /** Sets the JWK Sets by trust domain. */
  setJwtBundles(answer: Readonly<Record<string, unknown>> | GrpcError): void {
    this.#jwtBundles.set(answer instanceof GrpcError ? answer : { bundles: jwksMap(answer) })
  }

  /** Makes the next calls of any method fail with this status. */
  failNext(code: StatusCode, message: string, count = 1): void {
    this.#failures = { error: new GrpcError(code, message), left: count }
  }

  callsOf(method: string): RecordedCall[] {
    return this.calls.filter((call) => call.method === method)
  }

  /** Stops like a killed process: connections break without a GOAWAY. */
  async crash(): Promise<void> {
    await this.#server?.close(0)
    this.#server = undefined
    await rm(this.path, { force: true })
  }

  async close(): Promise<void> {
    await this.crash()
    await rm(this.folder, { recursive: true, force: true })
  }

  #admit(call: ServerCall, path: string): void {
    const securityHeader = call.metadata.getAll(SECURITY_HEADER)
    this.calls.push({ method: path.split('/').at(-1) as string, securityHeader, at: Date.now() })
    if (securityHeader.length !== 1 || securityHeader[0] !== SECURITY_HEADER_VALUE)
      throw new GrpcError(status.invalidArgument, 'security header missing from request')
    if (!this.#failures || this.#failures.left <= 0) return
    this.#failures.left -= 1
    throw this.#failures.error
  }
}

/** An identity in the API's format. */
export interface IssuedIdentity {
  readonly id: string
  readonly issued: IssuedSvid
  readonly bundle: X509Bundle
  readonly hint?: string
}

export const x509SvidMessage = ({ id, issued, bundle, hint = '' }: IssuedIdentity): X509SvidMessage => ({
  spiffeId: id,
  x509Svid: Buffer.concat(issued.chain),
  x509SvidKey: issued.privateKey,
  bundle: bundle.toDer(),
  hint,
})

export const x509BundleMap = (bundles: readonly X509Bundle[]): ReadonlyMap<string, Uint8Array> =>
  new Map(bundles.map((bundle) => [bundle.trustDomain.id, bundle.toDer()]))

const jwksMap = (sets: Readonly<Record<string, unknown>>): ReadonlyMap<string, Uint8Array> =>
  new Map(
    Object.entries(sets).map(
      ([name, set]) => [`spiffe://${name}`, Buffer.from(JSON.stringify(set))] as const,
    ),
  )
