import { describe, expect, it } from '@jest/globals'
import { CheckSources } from './check-sources.ts'

const SVID_CHECKS = 'form algorithm critical type claims subject key signature audience times'.split(' ')
const TOKEN_CHECKS =
  'form,algorithm,critical,embedded key,type,issuer,key,signature,not before,expiry,audience,subject,issued at,lifetime'.split(
    ',',
  )

describe('CheckSources', () => {
  const sources = new CheckSources({ sourceFolder: '.', sourceUrl: undefined })
  const lineOf = (check: string) => {
    const { file, line } = sources.links[check] ?? { file: '', line: 0 }
    return sources.read(file)?.[line - 1]
  }

  it.each([...TOKEN_CHECKS, ...SVID_CHECKS.map((name) => `SVID ${name}`)])(
    'knows the line that lets a token pass the check of its %s',
    (check) => {
      expect(lineOf(check)).toMatch(
        /verdict\.pass\(|\bif \(|checkTimes|parseCompact|readClaims|SpiffeId\.parse/,
      )
    },
  )

  it('knows the line that refuses, by the reason', () => {
    expect(lineOf('expiry expired')).toContain("'expired', 'jwt expired'")
    expect(lineOf('SVID wrong_audience')).toContain('JwtSvidError')
  })

  it('links to a repository where one is told, and else to this service', () => {
    expect(sources.links.expiry?.href).toMatch(
      /^\/source\?file=packages\/tokens\/src\/check-claims\.ts#L\d+$/,
    )
    const elsewhere = new CheckSources({ sourceFolder: '.', sourceUrl: 'https://code.example/blob/main' })
    expect(elsewhere.links.expiry?.href).toMatch(
      /^https:\/\/code\.example\/blob\/main\/packages\/tokens\/src\/check-claims\.ts#L\d+$/,
    )
  })

  it('shows no other file, and has no links where there is no source', () => {
    expect(sources.read('package.json')).toBeUndefined()
    expect(new CheckSources({ sourceFolder: '/nowhere', sourceUrl: undefined }).links).toEqual({})
  })
})
