import { constructed, DerError, DerReader, inside, primitive, TAG } from '../der/index.ts'

/** The supported kinds of GeneralName (RFC 5280 §4.2.1.6); all others are `other`. */
export type NameKind = 'email' | 'dns' | 'directory' | 'uri' | 'ip' | 'other'

export interface GeneralName {
  readonly kind: NameKind
  readonly value: Buffer
}

const KINDS: ReadonlyMap<number, NameKind> = new Map([
  [primitive(1), 'email'],
  [primitive(2), 'dns'],
  [constructed(4), 'directory'],
  [primitive(6), 'uri'],
  [primitive(7), 'ip'],
])

/** @throws DerError */
export function readGeneralNames(der: Buffer): GeneralName[] {
  const outer = new DerReader(der)
  const list = inside(outer.expect(TAG.sequence))
  outer.end()
  const names: GeneralName[] = []
  while (!list.done) names.push(readName(list))
  if (names.length === 0) throw new DerError('the subject alternative name is empty')
  return names
}

function readName(reader: DerReader): GeneralName {
  const { tag, content } = reader.next()
  const kind = KINDS.get(tag) ?? 'other'
  // RFC 5280 §4.2.1.6: these are IA5Strings, and readers disagree on non-ASCII bytes.
  if ((kind === 'uri' || kind === 'dns' || kind === 'email') && content.some((byte) => byte >= 0x80))
    throw new DerError(`a name of kind ${kind} contains a non-ASCII byte`)
  return { kind, value: content }
}

/** The names that a CA is allowed to certify (RFC 5280 §4.2.1.10). */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

/** @throws DerError */
export function readNameConstraints(der: Buffer): NameConstraints {
  const outer = new DerReader(der)
  const constraints = inside(outer.expect(TAG.sequence))
  outer.end()
  const read = (tag: number): GeneralName[] => {
    const trees = constraints.optional(tag)
    if (!trees) return []
    const list = inside(trees)
    const names: GeneralName[] = []
    while (!list.done) {
      const tree = inside(list.expect(TAG.sequence))
      names.push(readName(tree))
      tree.end() // Certificates do not use `minimum` and `maximum`.
    }
    return names
  }
  const permitted = read(constructed(0))
  const excluded = read(constructed(1))
  constraints.end()
  return { permitted, excluded }
}

/** The names of a certificate, to which constraints apply. */
export interface Named {
  readonly names: readonly GeneralName[]
  readonly subjectIsEmpty: boolean
}

/**
 * Returns why a certificate's names violate the constraints, or undefined. Evaluates constraints on URIs and DNS names; any
 * constraint on another kind that the certificate uses, including the subject, counts as violated because it cannot be
 * evaluated (RFC 5280 §4.2.1.10).
 */
export function brokenConstraint(
  { names, subjectIsEmpty }: Named,
  { permitted, excluded }: NameConstraints,
): string | undefined {
  if (!subjectIsEmpty && [...permitted, ...excluded].some(({ kind }) => kind === 'directory'))
    return 'constraints on the subject are not supported'
  for (const name of names) {
    const host = hostOf(name)
    const within = ({ kind, value }: GeneralName) =>
      kind === name.kind && (host === undefined || matchesHost(host, value.toString('latin1'), kind))
    if (excluded.some(within)) return `a name of kind ${name.kind} is excluded by a constraint`
    const ofKind = permitted.filter(({ kind }) => kind === name.kind)
    if (ofKind.length > 0 && (host === undefined || !ofKind.some(within)))
      return `a name of kind ${name.kind} is not permitted by any constraint`
  }
  return undefined
}

/** Returns the host that a constraint applies to; undefined for unsupported kinds. */
function hostOf({ kind, value }: GeneralName): string | undefined {
  const text = value.toString('latin1').toLowerCase()
  if (kind === 'dns') return text
  if (kind === 'uri') return /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#:]*)/.exec(text)?.[1]
  return undefined
}

/** With a leading dot, only subdomains match. Without one, a URI's host must be equal; a DNS name can also be a subdomain. */
function matchesHost(host: string, constraint: string, kind: NameKind): boolean {
  const limit = constraint.toLowerCase()
  if (limit === '') return true
  if (limit.startsWith('.')) return host.endsWith(limit)
  return host === limit || (kind === 'dns' && host.endsWith(`.${limit}`))
}
