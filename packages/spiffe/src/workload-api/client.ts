import { type Clock, systemClock } from '../clock.ts'
import {
  type CallOptions,
  GrpcClient,
  type GrpcClientOptions,
  GrpcError,
  type Method,
  status,
} from '../grpc/index.ts'
import type { JwtBundleSet } from '../jwt-bundle/index.ts'
import type { JwtSvid, JwtSvidParams } from '../jwt-svid/index.ts'
import { SpiffeId } from '../spiffe-id/index.ts'
import type { X509BundleSet } from '../x509-bundle/index.ts'
import type { X509Svid } from '../x509-svid/index.ts'
import { resolveAddress } from './address.ts'
import { MalformedResponseError } from './errors.ts'
import {
  fetchJwtBundles,
  fetchJwtSvid,
  fetchX509Bundles,
  fetchX509Svid,
  SECURITY_HEADER,
  SECURITY_HEADER_VALUE,
  validateJwtSvid,
} from './methods.ts'
import {
  readJwtBundles,
  readJwtSvids,
  readX509Bundles,
  readX509Context,
  type X509Context,
} from './responses.ts'
import { type Watcher, watch } from './watch.ts'
import type { JsonObject } from './wire/index.ts'

/** Timeout for a call with one response; attestation by a busy agent takes a second or two. */
const DEFAULT_TIMEOUT_MS = 10_000

export interface WorkloadApiClientOptions extends GrpcClientOptions {
  /** `unix:///path` or `tcp://ip:port`; by default the value of SPIFFE_ENDPOINT_SOCKET. */
  readonly address?: string
  readonly timeoutMs?: number
  readonly clock?: Clock
}

export interface FetchOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/** The server's result of validating a token. */
export interface ValidatedJwtSvid {
  readonly id: SpiffeId
  readonly claims: JsonObject
}

/**
 * A client of the SPIFFE Workload API. Fetch methods call once and do not retry; watch methods continue until their signal is
 * aborted. Failures are GrpcErrors; responses that violate the standard are MalformedResponseErrors.
 */
export class WorkloadApiClient {
  readonly #grpc: GrpcClient
  readonly #timeoutMs: number
  readonly #clock: Clock

  /** @throws AddressError */
  constructor(options: WorkloadApiClientOptions = {}) {
    this.#grpc = new GrpcClient(resolveAddress(options.address), options)
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    this.#clock = options.clock ?? systemClock
  }

  /** Fetches the workload's default X.509-SVID. */
  async fetchX509Svid(options?: FetchOptions): Promise<X509Svid> {
    const [first] = await this.fetchX509Svids(options)
    return first as X509Svid
  }

  async fetchX509Svids(options?: FetchOptions): Promise<readonly X509Svid[]> {
    return (await this.fetchX509Context(options)).svids
  }

  async fetchX509Context(options?: FetchOptions): Promise<X509Context> {
    return readX509Context(await this.#first(fetchX509Svid, {}, options), this.#clock)
  }

  async fetchX509Bundles(options?: FetchOptions): Promise<X509BundleSet> {
    return readX509Bundles(await this.#first(fetchX509Bundles, {}, options))
  }

  async fetchJwtBundles(options?: FetchOptions): Promise<JwtBundleSet> {
    return readJwtBundles(await this.#first(fetchJwtBundles, {}, options))
  }

  /** Fetches a JWT-SVID for this audience, with the default identity or `subject`. */
  async fetchJwtSvid(params: JwtSvidParams, options?: FetchOptions): Promise<JwtSvid> {
    const [first] = await this.fetchJwtSvids(params, options)
    return first as JwtSvid
  }

  /** Fetches one JWT-SVID for each of the workload's identities. */
  async fetchJwtSvids(params: JwtSvidParams, options?: FetchOptions): Promise<readonly JwtSvid[]> {
    const audience = typeof params.audience === 'string' ? [params.audience] : params.audience
    const request = { audience, spiffeId: params.subject ?? '' }
    const response = await this.#grpc.unary(fetchJwtSvid, request, this.#callOptions(options))
    return readJwtSvids(response, audience, this.#clock)
  }

  /** Validates a token on the server. {@link parseAndValidate} with a JwtSource does the same without a round trip. */
  async validateJwtSvid(token: string, audience: string, options?: FetchOptions): Promise<ValidatedJwtSvid> {
    const request = { audience, svid: token }
    const response = await this.#grpc.unary(validateJwtSvid, request, this.#callOptions(options))
    try {
      return { id: SpiffeId.parse(response.spiffeId), claims: response.claims ?? {} }
    } catch (cause) {
      throw new MalformedResponseError(`ValidateJWTSVIDResponse is not usable: ${(cause as Error).message}`, {
        cause,
      })
    }
  }

  watchX509Context(watcher: Watcher<X509Context>, signal: AbortSignal): Promise<void> {
    return this.#watch(fetchX509Svid, (response) => readX509Context(response, this.#clock), watcher, signal)
  }

  watchX509Bundles(watcher: Watcher<X509BundleSet>, signal: AbortSignal): Promise<void> {
    return this.#watch(fetchX509Bundles, readX509Bundles, watcher, signal)
  }

  watchJwtBundles(watcher: Watcher<JwtBundleSet>, signal: AbortSignal): Promise<void> {
    return this.#watch(fetchJwtBundles, readJwtBundles, watcher, signal)
  }

  /** Cancels all calls and watches. */
  close(): void {
    this.#grpc.close()
  }

  #watch<M, T>(
    method: Method<'stream', object, M>,
    read: (message: M) => T,
    watcher: Watcher<T>,
    signal: AbortSignal,
  ): Promise<void> {
    const open = (stop: AbortSignal) => this.#grpc.stream(method, {}, { metadata: HEADERS, signal: stop })
    return watch(open, read, watcher, signal)
  }

  async #first<M>(method: Method<'stream', object, M>, request: object, options?: FetchOptions): Promise<M> {
    for await (const message of this.#grpc.stream(method, request, this.#callOptions(options))) return message
    throw new GrpcError(status.unavailable, 'the server ended the stream without a response')
  }

  #callOptions(options: FetchOptions = {}): CallOptions {
    return {
      metadata: HEADERS,
      timeoutMs: options.timeoutMs ?? this.#timeoutMs,
      ...(options.signal && { signal: options.signal }),
    }
  }
}

const HEADERS = { [SECURITY_HEADER]: SECURITY_HEADER_VALUE }
