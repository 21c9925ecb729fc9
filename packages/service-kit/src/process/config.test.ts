import { describe, expect, it } from '@jest/globals'
import { ConfigError, commonConfig, readConfig } from './config.ts'
import { isLoopback } from './transport.ts'

const problemsOf = (read: () => unknown): readonly string[] => {
  try {
    read()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('readConfig', () => {
  it('names all invalid variables together', () => {
    const problems = problemsOf(() =>
      readConfig({ PORT: '70000', PEER: 'ftp://x', OPEN: 'perhaps', MODE: 'wild' }, (v) => ({
        port: v.port('PORT', 3000),
        peer: v.url('PEER'),
        open: v.flag('OPEN', false),
        mode: v.oneOf('MODE', ['a', 'b'], 'a'),
        audience: v.text('AUDIENCE'),
      })),
    )
    expect(problems).toEqual([
      'PORT must be an integer from 0 to 65535, but is "70000"',
      'PEER must be an http or https URL, but is "ftp://x"',
      'OPEN must be true or false, but is "perhaps"',
      'MODE must be one of a, b, but is "wild"',
      'AUDIENCE is required',
    ])
  })

  it('uses defaults for absent and empty variables', () => {
    const config = readConfig({ PORT: '' }, (v) => ({
      port: v.port('PORT', 3000),
      list: v.list('LIST', ['x']),
    }))
    expect(config).toEqual({ port: 3000, list: ['x'] })
  })

  it('reads "false" as false', () => {
    expect(readConfig({ FLAG: 'false' }, (v) => v.flag('FLAG', true))).toBe(false)
  })

  it('reads durations with units', () => {
    const read = (value: string | undefined) =>
      readConfig({ EVERY: value }, (v) => v.optionalDuration('EVERY', { minMs: 1_000 }))
    expect(['90s', '5m', '1h30m', '24h', '7d'].map(read)).toEqual([
      90_000, 300_000, 5_400_000, 86_400_000, 604_800_000,
    ])
    expect([undefined, '', 'off'].map(read)).toEqual([undefined, undefined, undefined])
  })

  it.each(['24', '1 h', '-1h', '1h30', 'h', '1.5h', '0s', '400000d', '1w', '1e3s', 'never'])(
    'rejects the duration %s',
    (value) => {
      const limits = { minMs: 1_320_000, maxMs: 365 * 86_400_000 }
      const problems = problemsOf(() =>
        readConfig({ EVERY: value }, (v) => v.optionalDuration('EVERY', limits)),
      )
      expect(problems).toEqual([
        `EVERY must be a duration from 22m to 365d, e.g. 90s, 5m, 1h30m or 7d, but is "${value}"`,
      ])
    },
  )

  it('rejects durations that a timer or a Date cannot represent', () => {
    const problems = problemsOf(() =>
      readConfig(
        { BEAT_MS: '2147483648', TTL_S: '9007199254740993', MARGIN_S: '-1', LATE_MS: '1e3' },
        (v) => ({
          beat: v.milliseconds('BEAT_MS', 15_000, { min: 10 }),
          ttl: v.seconds('TTL_S', 60),
          margin: v.seconds('MARGIN_S', 5),
          late: v.milliseconds('LATE_MS', 5),
        }),
      ),
    )
    expect(problems).toEqual([
      'BEAT_MS must be an integer from 10 to 2147483647, but is "2147483648"',
      'TTL_S must be an integer from 0 to 315360000, but is "9007199254740993"',
      'MARGIN_S must be an integer from 0 to 315360000, but is "-1"',
      'LATE_MS must be an integer from 0 to 2147483647, but is "1e3"',
    ])
  })

  it('reads lists separated by commas', () => {
    const read = (value: string) => readConfig({ NAMES: value }, (v) => v.list('NAMES', ['x']))
    expect(['a', ' a , b ', 'a b,c', ''].map(read)).toEqual([['a'], ['a', 'b'], ['a b', 'c'], []])
  })

  it.each([',', ' ', ' , ', 'a,,b', 'a,', ',a'])('rejects the list %j, which has an empty item', (value) => {
    for (const read of ['list', 'scopes'] as const)
      expect(problemsOf(() => readConfig({ NAMES: value }, (v) => v[read]('NAMES', [])))).toEqual([
        `NAMES must be a list separated by commas, without empty items, but is "${value}"`,
      ])
  })

  it('rejects scopes that are not separated by commas', () => {
    const read = (value: string) => () => readConfig({ SCOPES: value }, (v) => v.scopes('SCOPES', []))
    expect(read('read:data, read:data2')()).toEqual(['read:data', 'read:data2'])
    for (const value of ['read:data read:data2', 'a,b\tc'])
      expect(problemsOf(read(value))).toEqual([
        `SCOPES must separate scopes by commas, not by spaces, but is ${JSON.stringify(value)}`,
      ])
  })

  it('names the problem of a list once, even if it is read twice', () => {
    const read = () => readConfig({ NAMES: ',' }, (v) => [v.list('NAMES', []), v.list('NAMES', [])])
    expect(problemsOf(read)).toHaveLength(1)
  })

  it('drops the trailing slash of a URL, so that paths can be appended', () => {
    expect(readConfig({ PEER: 'http://localhost:5555/' }, (v) => v.url('PEER'))).toBe('http://localhost:5555')
  })
})

describe('an issuer', () => {
  const names = { issuer: 'ISSUER', jwksUrl: 'JWKS_URL', jwksFile: 'JWKS_FILE' }
  const problems = (env: Record<string, string>) =>
    problemsOf(() => readConfig(env, (variables) => variables.issuerWithKeys(names)))

  it.each([
    ['urn:example:issuer'],
    ['login.example.com'],
    ['file:///issuer'],
    ['https:/login.example'],
    ['https://login.example/?tenant=1'],
    ['https://login.example/?'],
    ['https://login.example/#a'],
    ['https://login.example/a b'],
    ['https://login.microsoftonline.com/{tenantid}/v2.0'],
    ['https://{domain}/'],
    ['https://login.example:99999/'],
  ])('at which no keys can be discovered is refused: %s', (issuer) => {
    expect(problems({ ISSUER: issuer })).toEqual([
      `ISSUER must be an http or https URL without query, fragment, credentials, spaces and placeholders, because the keys are discovered at it, unless JWKS_URL or JWKS_FILE is set, but is "${issuer}"`,
    ])
    expect(problems({ ISSUER: issuer, JWKS_URL: 'https://keys.example/jwks' })).toEqual([])
    expect(problems({ ISSUER: issuer, JWKS_FILE: 'jwks.json' })).toEqual([])
  })

  it('with credentials is refused without showing them', () => {
    const [problem = ''] = problems({ ISSUER: 'https://me:secret@login.example/' })
    expect(problem).toMatch(/credentials.* but is "https:\/\/login.example\/"$/)
  })

  it.each([{}, { JWKS_URL: 'https://keys.example/jwks' }, { JWKS_FILE: 'jwks.json' }])(
    'has no white space around it, with %j',
    (keys) => {
      expect(problems({ ISSUER: 'https://login.example/ ', ...keys })).toEqual([
        'ISSUER must be exactly the iss of its tokens, without white space around it, but is "https://login.example/ "',
      ])
    },
  )

  it.each([
    'https://login.example',
    'https://login.example:8443/realms/a/',
    'http://localhost:3000',
    'http://[::1]:3000/',
    'https://login.example/@team/a',
  ])('may be %s', (issuer) => expect(problems({ ISSUER: issuer })).toEqual([]))
})

describe('commonConfig', () => {
  it('binds to loopback in development mode and to every address in production', () => {
    expect(readConfig({}, commonConfig).host).toBe('127.0.0.1')
    expect(readConfig({ NODE_ENV: 'production' }, commonConfig).host).toBe('0.0.0.0')
  })

  it('tolerates clocks that differ by 5 s, or by up to a minute if configured', () => {
    const tolerance = (value: string) => () =>
      readConfig({ CLOCK_TOLERANCE_SECONDS: value }, commonConfig).clockToleranceSeconds
    expect(tolerance('')()).toBe(5)
    for (const value of ['0', '60']) expect(tolerance(value)()).toBe(Number(value))
    for (const value of ['61', '-1', '1.5', 'five'])
      expect(problemsOf(tolerance(value))).toEqual([
        `CLOCK_TOLERANCE_SECONDS must be an integer from 0 to 60, but is "${value}"`,
      ])
  })
})

describe('isLoopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.9.1', true],
    ['::1', true],
    ['[::1]', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.1', false],
    ['localhost.example.com', false],
  ])('%s: %s', (host, expected) => expect(isLoopback(host)).toBe(expected))
})
