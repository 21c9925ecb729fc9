import { existsSync, readFileSync } from 'node:fs'
import { SVID_CHECKS } from '@hallpass/spiffe'
import { TOKEN_CHECKS } from '@hallpass/tokens'
import { describe, expect, it } from '@jest/globals'
import { CHECK_FOLDERS, CheckSources } from './check-sources.ts'

/** The issuer's own checks (jwt-factory/src/keys/issuer-checks.ts), which it does not export. */
const ISSUER_CHECKS = [
  { name: 'withdrawn key', rule: 'NIST SP 800-57 §8.3.5' },
  { name: 'revocation', rule: 'RFC 7009 §2.2' },
]
const catalogues = [...new Set([...TOKEN_CHECKS, ...SVID_CHECKS, ...ISSUER_CHECKS])]

describe('CheckSources', () => {
  const sources = new CheckSources({ sourceFolder: '.', sourceUrl: undefined })
  const lineOf = (check: string) => {
    const { file, line } = sources.links[check] ?? { file: '', line: 0 }
    return sources.read(file)?.[line - 1]
  }

  it.each(catalogues)('finds the line that defines a check: $name', ({ name, rule }) => {
    expect(lineOf(name)).toContain(`check('${name}', '${rule}', `)
  })

  it('finds the same folders in an image', () => {
    const [, list = ''] =
      /for \(const folder of (\['packages\/tokens[^\]]*\])\)/.exec(
        readFileSync('deploy/containers/bundle.js', 'utf8'),
      ) ?? []
    const copied = [...list.matchAll(/'([^']+)'/g)].map(([, folder]) => folder as string)
    expect(copied.filter((folder) => !existsSync(folder))).toEqual([])
    for (const folder of CHECK_FOLDERS)
      expect(copied.some((one) => folder === one || folder.startsWith(`${one}/`))).toBe(true)
  })

  it('has no check that is in no catalogue', () => {
    const known = new Set(catalogues.map(({ name }) => name))
    const unknown = Object.keys(sources.links).filter(
      (check) => !known.has(check) && !known.has(check.slice(0, check.lastIndexOf(' '))),
    )
    expect(unknown).toEqual([])
  })

  it.each([
    ['expiry expired', "fail('expired', 'jwt expired'"],
    ['signature signature_invalid', "fail('signature_invalid', 'invalid signature')"],
    ['key alg_not_of_key', "fail('alg_not_of_key', "],
    ['SVID audience wrong_audience', "reject('wrong_audience', "],
    ['SVID key bundle_missing', "reject('bundle_missing', "],
  ])('finds the line that rejects, by check and reason: %s', (check, words) => {
    expect(lineOf(check)).toContain(words)
  })

  it('links to the configured repository, or to this service', () => {
    expect(sources.links.expiry?.href).toMatch(
      /^\/source\?file=packages\/tokens\/src\/rule-set\/times\.ts#L\d+$/,
    )
    const elsewhere = new CheckSources({ sourceFolder: '.', sourceUrl: 'https://code.example/blob/main' })
    expect(elsewhere.links.expiry?.href).toMatch(
      /^https:\/\/code\.example\/blob\/main\/packages\/tokens\/src\/rule-set\/times\.ts#L\d+$/,
    )
  })

  it('shows no other file, and has no links without sources', () => {
    expect(sources.read('package.json')).toBeUndefined()
    expect(new CheckSources({ sourceFolder: '/nowhere', sourceUrl: undefined }).links).toEqual({})
  })
})
