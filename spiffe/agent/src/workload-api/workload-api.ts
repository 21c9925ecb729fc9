import type { Socket } from 'node:net'
import {
  type JwtBundleSource,
  JwtSvidError,
  parseAndValidate,
  parseSpiffeId,
  type SpiffeBundle,
} from '@hallpass/spiffe'
import {
  GrpcError,
  GrpcServer,
  type Method,
  type ServerCall,
  type StatusCode,
  status,
} from '@hallpass/spiffe/grpc'
import * as api from '@hallpass/spiffe/workload-api'
import { entriesOf, revokedEntryOf, type Workload } from '../attestation/index.ts'
import type { SvidIssuer } from '../authorities/index.ts'
import { type Bundles, jwksBytes, x509Bytes } from '../bundles/index.ts'
import type { Entry } from '../entries/index.ts'
import type { Changes } from './changes.ts'
import { ENTRY_REVOKED, restoreCommand } from './refusals.ts'

export interface WorkloadApiOptions {
  /** Returns the current entries. */
  readonly entries: () => readonly Entry[]
  readonly issuer: SvidIssuer
  readonly bundles: Bundles & JwtBundleSource
  readonly changes: Changes
  readonly clock: () => number
  /** Tolerated clock skew when the agent validates a token for a workload. */
  readonly leewaySeconds: number
  readonly onError: (error: unknown, path: string) => void
}

/** The largest valid request, a token of 8 KiB with its audience, is far below this. */
const MAX_REQUEST_BYTES = 64 * 1024

const refused = (code: StatusCode, text: string) => new GrpcError(code, text)

/**
 * The SPIFFE Workload API, with SPIRE's statuses and messages. `serve` accepts a connection together with the pending result of
 * its attestation.
 * https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md
 */
export class WorkloadApi {
  readonly server: GrpcServer
  readonly #options: WorkloadApiOptions
  readonly #attested = new WeakMap<Socket, Promise<Workload>>()

  constructor(options: WorkloadApiOptions) {
    this.#options = options
    const { onError } = options
    this.server = new GrpcServer({ maxMessageBytes: MAX_REQUEST_BYTES, authorize: requireHeader, onError })
      .stream(api.fetchX509Svid, (_request, call) => this.#states(api.fetchX509Svid, call, this.#x509Svids))
      .stream(api.fetchX509Bundles, (_request, call) =>
        this.#states(api.fetchX509Bundles, call, this.#x509Bundles),
      )
      .stream(api.fetchJwtBundles, (_request, call) =>
        this.#states(api.fetchJwtBundles, call, this.#jwtBundles),
      )
      .unary(api.fetchJwtSvid, (request, call) => this.#jwtSvids(request, call))
      .unary(api.validateJwtSvid, (request) => this.#validate(request))
      .stream(api.fetchWitSvid, unimplemented)
      .stream(api.fetchWitBundles, unimplemented)
  }

  readonly serve = (socket: Socket, attested: Promise<Workload>): void => {
    attested.catch(() => {}) // Each call awaits the same promise and reports the failure itself.
    this.#attested.set(socket, attested)
    this.server.accept(socket)
  }

  /**
   * Streams complete states: the first immediately, then one whenever it differs from the last. `compute` throws if the caller
   * has no identity (any more), which ends the stream.
   */
  async *#states<T>(
    { response }: Method<'stream', unknown, T>,
    call: ServerCall,
    compute: (call: ServerCall) => Promise<T>,
  ): AsyncGenerator<T> {
    let last: Buffer | undefined
    while (!call.signal.aborted) {
      // Register before computing the state, so that no change in between is missed.
      const changed = this.#options.changes.next(call.signal)
      const state = await compute.call(this, call)
      const bytes = response.encode(state)
      if (!last?.equals(bytes)) yield state
      last = bytes
      await changed
    }
  }

  async #x509Svids(call: ServerCall): Promise<api.X509SvidResponse> {
    const { issuer, bundles } = this.#options
    const entries = await this.#entriesOf(call)
    const svids = await Promise.all(
      entries.map(async (entry) => {
        const svid = await issuer.x509Svid(entry)
        return {
          spiffeId: svid.spiffeId,
          x509Svid: svid.certificate,
          x509SvidKey: svid.privateKey,
          bundle: x509Bytes(bundles.own),
          hint: entry.hint,
        }
      }),
    )
    return { svids, crl: [], federatedBundles: byId(bundles.federatedFor(entries), x509Bytes) }
  }

  async #x509Bundles(call: ServerCall): Promise<api.X509BundlesResponse> {
    return { crl: [], bundles: byId(await this.#bundlesFor(call), x509Bytes) }
  }

  async #jwtBundles(call: ServerCall): Promise<api.JwtBundlesResponse> {
    return { bundles: byId(await this.#bundlesFor(call), jwksBytes) }
  }

  async #bundlesFor(call: ServerCall): Promise<SpiffeBundle[]> {
    const { bundles } = this.#options
    const entries = await this.#entriesOf(call)
    return [bundles.own, ...bundles.federatedFor(entries)]
  }

  async #jwtSvids(
    { audience, spiffeId }: api.JwtSvidRequest,
    call: ServerCall,
  ): Promise<api.JwtSvidResponse> {
    if (audience.length === 0) throw refused(status.invalidArgument, 'audience must be specified')
    if (spiffeId !== '') assertSpiffeId(spiffeId)
    const entries = await this.#entriesOf(call)
    const wanted = entries.filter((entry) => spiffeId === '' || entry.spiffeId === spiffeId)
    if (wanted.length === 0) throw refused(status.permissionDenied, 'no identity issued')
    try {
      const svids = wanted.map(async (entry) => ({
        spiffeId: entry.spiffeId,
        svid: await this.#options.issuer.jwtSvid(entry, audience),
        hint: entry.hint,
      }))
      return { svids: await Promise.all(svids) }
    } catch (error) {
      throw refused(status.unavailable, `could not fetch JWT-SVID: ${(error as Error).message}`)
    }
  }

  /** Requires no identity, because the result reveals nothing that the token does not contain. */
  #validate({ audience, svid }: api.ValidateJwtSvidRequest): api.ValidateJwtSvidResponse {
    if (audience === '') throw refused(status.invalidArgument, 'audience must be specified')
    if (svid === '') throw refused(status.invalidArgument, 'svid must be specified')
    const { bundles, clock, leewaySeconds } = this.#options
    try {
      const {
        id,
        claims,
        audience: aud,
      } = parseAndValidate(svid, bundles, [audience], {
        clock,
        leewaySeconds,
      })
      const foreign = !id.memberOf(bundles.trustDomain)
      // For other trust domains, return only the standard's claims, because we cannot vouch for others.
      const shown = foreign ? { sub: claims.sub, exp: claims.exp } : claims
      return { spiffeId: id.toString(), claims: { ...(shown as api.JsonObject), aud: [...aud] } }
    } catch (error) {
      if (!(error instanceof JwtSvidError)) throw error
      throw refused(status.invalidArgument, error.spireMessage)
    }
  }

  async #entriesOf(call: ServerCall): Promise<Entry[]> {
    let workload: Workload | undefined
    try {
      workload = await this.#attested.get(call.socket)
    } catch {
      // The reason is only logged, because the caller is not authenticated.
    }
    if (!workload) throw refused(status.unavailable, 'workload attestation failed')
    const registered = this.#options.entries()
    const entries = entriesOf(workload, registered)
    if (entries.length > 0) return entries
    const revoked = revokedEntryOf(workload, registered)
    // SPIRE's message; the addition helps the workload's operator to fix the problem.
    throw refused(
      status.permissionDenied,
      revoked
        ? `no identity issued: ${ENTRY_REVOKED}; ${restoreCommand(revoked.id)} restores it`
        : 'no identity issued',
    )
  }
}

/** Requires exactly one header value `true` (Workload API §3.1), which browsers and SSRF attacks cannot send. */
function requireHeader({ metadata }: ServerCall) {
  const values = metadata.getAll(api.SECURITY_HEADER)
  if (values.length !== 1 || values[0] !== api.SECURITY_HEADER_VALUE)
    throw refused(status.invalidArgument, 'security header missing from request')
}

function assertSpiffeId(spiffeId: string) {
  try {
    parseSpiffeId(spiffeId)
  } catch (error) {
    throw refused(status.invalidArgument, `invalid requested SPIFFE ID: ${(error as Error).message}`)
  }
}

// biome-ignore lint/correctness/useYield: the method is not implemented, so it only throws.
async function* unimplemented(): AsyncGenerator<never> {
  throw refused(status.unimplemented, 'fetching WIT-SVIDs is not implemented')
}

/** The keys of bundle maps are the SPIFFE IDs of the trust domains. */
const byId = (bundles: readonly SpiffeBundle[], bytes: (bundle: SpiffeBundle) => Buffer) =>
  new Map(bundles.map((bundle) => [bundle.trustDomain.id, new Uint8Array(bytes(bundle))]))
