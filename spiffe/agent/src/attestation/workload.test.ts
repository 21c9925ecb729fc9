import { describe, expect, it } from '@jest/globals'
import type { Entry } from '../entries/entries.ts'
import { entriesOf } from './workload.ts'

const entry = (id: string, selectors: readonly string[], more: Partial<Entry> = {}): Entry => ({
  id,
  spiffeId: `spiffe://example.org/${id}`,
  selectors,
  dnsNames: [],
  x509TtlSeconds: undefined,
  jwtTtlSeconds: undefined,
  hint: '',
  federatesWith: [],
  socketOwner: undefined,
  revoked: false,
  ...more,
})
const idsOf = (workload: Parameters<typeof entriesOf>[0], ...entries: Entry[]) =>
  entriesOf(workload, entries).map(({ id }) => id)

describe('entriesOf', () => {
  it('requires every selector of an entry', () => {
    const both = entry('both', ['unix:uid:1', 'unix:gid:2'])
    expect(idsOf({ selectors: ['unix:uid:1'] }, both)).toEqual([])
    expect(idsOf({ selectors: ['unix:uid:1', 'unix:gid:2', 'unix:user:a'] }, both)).toEqual(['both'])
  })

  it('keeps the order of the file, so that the first is the default', () => {
    const workload = { selectors: ['socket:a'] }
    expect(idsOf(workload, entry('b', ['socket:a']), entry('a', ['socket:a']))).toEqual(['b', 'a'])
  })

  it('returns nothing for a revoked entry, or for a workload without selectors', () => {
    expect(idsOf({ selectors: ['socket:a'] }, entry('a', ['socket:a'], { revoked: true }))).toEqual([])
    expect(idsOf({ selectors: [] }, entry('a', []), entry('b', ['socket:b']))).toEqual([])
  })

  it('returns each identity and each hint only once', () => {
    const workload = { selectors: ['socket:a', 'unix:uid:1'] }
    const same = { spiffeId: 'spiffe://example.org/same' }
    expect(idsOf(workload, entry('a', ['socket:a'], same), entry('b', ['unix:uid:1'], same))).toEqual(['a'])
    expect(
      idsOf(workload, entry('a', ['socket:a'], { hint: 'x' }), entry('b', ['socket:a'], { hint: 'x' })),
    ).toEqual(['a'])
  })

  it('returns only the configured identities of an insecure socket', () => {
    const workload = { selectors: [], given: ['spiffe://example.org/a'] }
    expect(idsOf(workload, entry('a', ['socket:a']), entry('b', ['socket:b']))).toEqual(['a'])
  })
})
