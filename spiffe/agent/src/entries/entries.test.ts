import { TrustDomain } from '@hallpass/spiffe'
import { describe, expect, it } from '@jest/globals'
import { DEFAULT_ENTRIES } from './default-entries.ts'
import { EntriesError, parseEntries } from './entries.ts'

const own = TrustDomain.ofName('example.org')

const problemsOf = (text: string): readonly string[] => {
  try {
    parseEntries(text, own)
    return []
  } catch (error) {
    if (error instanceof EntriesError) return error.problems
    throw error
  }
}
const entry = (line: string) =>
  `entries: [{ id: a, spiffeId: spiffe://example.org/a, selectors: [socket:a], ${line} }]`

describe('parseEntries', () => {
  it('parses the default entries', () => {
    const { entries, federation } = parseEntries(DEFAULT_ENTRIES, own)
    expect(entries.map(({ id }) => id)).toEqual([
      'server',
      'proxy',
      'client',
      'service-a',
      'stranger',
      'server-workload',
      'client-workload',
    ])
    expect(entries[0]).toEqual({
      id: 'server',
      spiffeId: 'spiffe://example.org/server',
      selectors: ['socket:server'],
      dnsNames: [],
      x509TtlSeconds: undefined,
      jwtTtlSeconds: undefined,
      hint: '',
      federatesWith: [],
      socketOwner: undefined,
      revoked: false,
    })
    expect(federation).toEqual([])
  })

  it('parses all members of an entry', () => {
    const text = `
entries:
  - id: a
    spiffeId: spiffe://example.org/a
    selectors: [unix:uid:1000, unix:path:/usr/bin/a]
    dnsNames: [a.example.org, localhost]
    x509TtlSeconds: 60
    jwtTtlSeconds: 30
    hint: internal
    federatesWith: [other.org]
    revoked: true
federation:
  - trustDomain: other.org
    endpointUrl: https://localhost:9447/
    profile: https_spiffe
    endpointSpiffeId: spiffe://other.org/spiffe-agent
    bundleFile: other.org.json`
    expect(parseEntries(text, own)).toMatchObject({
      entries: [
        { dnsNames: ['a.example.org', 'localhost'], x509TtlSeconds: 60, hint: 'internal', revoked: true },
      ],
      federation: [{ trustDomain: 'other.org', endpointSpiffeId: 'spiffe://other.org/spiffe-agent' }],
    })
  })

  it('accepts an empty file as no entries', () => {
    expect(parseEntries('# nobody yet\n', own)).toEqual({ entries: [], federation: [] })
  })

  it.each([
    ['ttl: 5', 'a: ttl is not a known member'],
    ['x509TtlSeconds: 0', 'a: x509TtlSeconds must be an integer from 2 to 604800'],
    ['revoked: perhaps', 'a: revoked must be true or false'],
    ['dnsNames: [a_b]', 'a: dnsNames contains "a_b", which is not valid'],
    [`hint: ${'x'.repeat(1025)}`, 'a: hint is longer than 1024 bytes'],
    ['federatesWith: [other.org]', 'a: federatesWith names other.org, which is not listed under federation'],
  ])('rejects an entry with %s', (line, problem) => {
    expect(problemsOf(entry(line))).toEqual([problem])
  })

  it.each([
    ['https://example.org/a', 'a: spiffeId is not a SPIFFE ID: scheme is missing or invalid'],
    ['spiffe://example.org/a/../b', 'a: spiffeId is not a SPIFFE ID: path cannot contain dot segments'],
    [
      'spiffe://other.org/a',
      'a: spiffeId must be a path under spiffe://example.org, but is spiffe://other.org/a',
    ],
    [
      'spiffe://example.org',
      'a: spiffeId must be a path under spiffe://example.org, but is spiffe://example.org',
    ],
  ])('rejects the SPIFFE ID %s', (id, problem) => {
    expect(problemsOf(`entries: [{ id: a, spiffeId: "${id}", selectors: [socket:a] }]`)).toEqual([problem])
  })

  it('rejects an entry without selectors, which every workload would match', () => {
    expect(problemsOf('entries: [{ id: a, spiffeId: spiffe://example.org/a }]')).toEqual([
      'a: selectors must contain at least one; without any, every workload would match',
    ])
  })

  it('rejects federation with itself, which would replace its own bundle', () => {
    const text =
      'federation: [{ trustDomain: example.org, endpointUrl: "https://localhost/", profile: https_web }]'
    expect(problemsOf(text)).toEqual(['example.org: a trust domain cannot federate with itself'])
  })

  it('reports all mistakes together', () => {
    expect(
      problemsOf(`
entries:
  - { id: a, spiffeId: spiffe://example.org/a, selectors: [socket:a] }
  - { id: a, spiffeId: spiffe://example.org/a, selectors: ["unix:user:"] }
  - just a string
extra: 1`),
    ).toEqual([
      'a: selectors contains "unix:user:", which is not valid',
      'entry 3 is not a set of "name: value" lines',
      'entry 3: id is required',
      'entry 3: spiffeId is not a SPIFFE ID: cannot be empty',
      'entry 3: selectors must contain at least one; without any, every workload would match',
      'the file: extra is not a known member',
      'a: several entries have this id',
    ])
  })

  it('reports the line of a YAML error', () => {
    expect(problemsOf('entries: [')[0]).toMatch(/line 1/)
  })
})
