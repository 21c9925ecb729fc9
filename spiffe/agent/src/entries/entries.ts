import type { TrustDomain } from '@hallpass/spiffe'
import { parseDocument } from 'yaml'
import { MemberReader } from './member-reader.ts'

/** An entry: a workload that matches all selectors gets the SPIFFE ID. */
export interface Entry {
  /** The ID of the entry, for commands such as `entry remove` and `revoke`. */
  readonly id: string
  readonly spiffeId: string
  /** `socket:NAME`, `unix:uid:N`, `unix:user:NAME`, `unix:gid:N`, `unix:group:NAME`, `unix:path:FILE`. */
  readonly selectors: readonly string[]
  readonly dnsNames: readonly string[]
  /** The lifetime of an X.509-SVID; undefined for the agent's default. */
  readonly x509TtlSeconds: number | undefined
  readonly jwtTtlSeconds: number | undefined
  /** Helps a workload with several identities to choose one. */
  readonly hint: string
  /** Other trust domains whose bundles the workload gets. */
  readonly federatesWith: readonly string[]
  /** The owner of the socket of a `socket:` selector, if the agent runs as root: a user name or uid. */
  readonly socketOwner: string | undefined
  /** A revoked entry stays in the file, but grants no identity. */
  readonly revoked: boolean
}

/** Another trust domain, and the source of its bundle. */
export interface Federation {
  readonly trustDomain: string
  readonly endpointUrl: string
  readonly profile: 'https_web' | 'https_spiffe'
  /** `https_spiffe`: the SPIFFE ID of the bundle endpoint. */
  readonly endpointSpiffeId: string | undefined
  /** The first bundle, copied by hand; required to fetch others with `https_spiffe`. */
  readonly bundleFile: string | undefined
}

export interface Registrations {
  readonly entries: readonly Entry[]
  readonly federation: readonly Federation[]
}

/** Reports all mistakes of an entries file. */
export class EntriesError extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The entries are not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.name = 'EntriesError'
    this.problems = problems
  }
}

const ENTRY_ID = /^[A-Za-z0-9_-]{1,64}$/
const SELECTOR =
  /^(socket:[A-Za-z0-9_-]{1,32}|unix:(uid|gid|supplementary_gid):\d{1,10}|unix:(user|group|supplementary_group):[^\s:]{1,64}|unix:path:\/.{1,1024})$/
const DNS_NAME =
  /^(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
/** Workload API §5.1: "MUST NOT exceed 1024 bytes". */
const MAX_HINT_BYTES = 1024
/** Shorter SVIDs could not be renewed in time; longer ones are not short-lived. */
const TTL_SECONDS = { min: 2, max: 7 * 24 * 3600 }

/**
 * Reads an entries file.
 * @throws {EntriesError} with all mistakes, each with the ID of its entry.
 */
export function parseEntries(text: string, trustDomain: TrustDomain): Registrations {
  const document = parseDocument(text)
  if (document.errors.length > 0) throw new EntriesError(document.errors.map(({ message }) => message))
  return readRegistrations(document.toJS(), trustDomain)
}

/** @throws {EntriesError} */
export function readRegistrations(json: unknown, trustDomain: TrustDomain): Registrations {
  const problems: string[] = []
  const file = new MemberReader(json ?? {}, 'the file', problems)
  const entries = file.list('entries').map((item, index) => readEntry(item, index, trustDomain, problems))
  const federation = file
    .list('federation')
    .map((item, index) => readFederation(item, index, trustDomain, problems))
  file.refuseOthers()
  refuseDuplicates(entries, problems)
  const known = new Set(federation.map((foreign) => foreign.trustDomain))
  for (const { id, federatesWith } of entries)
    for (const foreign of federatesWith)
      if (!known.has(foreign))
        problems.push(`${id}: federatesWith names ${foreign}, which is not listed under federation`)
  if (problems.length > 0) throw new EntriesError(problems)
  return { entries, federation }
}

function readEntry(item: unknown, index: number, trustDomain: TrustDomain, problems: string[]): Entry {
  const where = `entry ${index + 1}`
  const reader = new MemberReader(item, where, problems)
  const id = reader.text('id', ENTRY_ID) ?? where
  reader.where = id
  const spiffeId = reader.spiffeId('spiffeId')
  if (spiffeId && (!spiffeId.memberOf(trustDomain) || spiffeId.path === ''))
    problems.push(`${id}: spiffeId must be a path under spiffe://${trustDomain}, but is ${spiffeId}`)
  const entry: Entry = {
    id,
    spiffeId: String(spiffeId ?? ''),
    selectors: reader.texts('selectors', SELECTOR),
    dnsNames: reader.texts('dnsNames', DNS_NAME),
    x509TtlSeconds: reader.integer('x509TtlSeconds', TTL_SECONDS),
    jwtTtlSeconds: reader.integer('jwtTtlSeconds', TTL_SECONDS),
    hint: reader.text('hint', /./s, '') ?? '',
    federatesWith: reader.texts('federatesWith', /^[a-z0-9._-]{1,255}$/),
    socketOwner: reader.text('socketOwner', /^[^\s:]{1,64}$/, ''),
    revoked: reader.flag('revoked'),
  }
  if (entry.selectors.length === 0)
    problems.push(`${id}: selectors must contain at least one; without any, every workload would match`)
  if (Buffer.byteLength(entry.hint) > MAX_HINT_BYTES)
    problems.push(`${id}: hint is longer than ${MAX_HINT_BYTES} bytes`)
  reader.refuseOthers()
  return entry
}

function readFederation(item: unknown, index: number, own: TrustDomain, problems: string[]): Federation {
  const reader = new MemberReader(item, `federation ${index + 1}`, problems)
  const trustDomain = reader.text('trustDomain', /^[a-z0-9._-]{1,255}$/) ?? ''
  reader.where = trustDomain || reader.where
  // Its bundle would replace our own.
  if (trustDomain === own.name) problems.push(`${trustDomain}: a trust domain cannot federate with itself`)
  const endpointUrl = reader.text('endpointUrl', /^https:\/\/[^/?#@\s]+[^\s?#]*$/) ?? ''
  const profile = reader.text('profile', /^https_(web|spiffe)$/) as Federation['profile'] | undefined
  const endpointSpiffeId = reader.spiffeId('endpointSpiffeId', profile !== 'https_spiffe')
  const bundleFile = reader.text('bundleFile', /./, '') || undefined
  reader.refuseOthers()
  return {
    trustDomain,
    endpointUrl,
    profile: profile ?? 'https_spiffe',
    endpointSpiffeId: endpointSpiffeId?.toString(),
    bundleFile,
  }
}

function refuseDuplicates(entries: readonly Entry[], problems: string[]) {
  const seen = new Set<string>()
  for (const { id } of entries) {
    if (seen.has(id)) problems.push(`${id}: several entries have this id`)
    seen.add(id)
  }
}
