import { describe, expect, it } from '@jest/globals'
import { scenarioIn, stepsOf, titleOf } from '../../public/explorer-run.js'
import { verdictOf } from '../../public/explorer-verdict.js'

type Run = Parameters<typeof verdictOf>[0]
type Hop = Run['hops'][number]

const run = (parts: Partial<Run>): Run => ({ traceId: 'a'.repeat(32), startedAt: 0, hops: [], ...parts })
const hop = (parts: Partial<Hop>): Hop => ({
  kind: 'request',
  traceId: 'a'.repeat(32),
  spanId: `${parts.service} ${parts.kind}`,
  service: 'service-b',
  startedAt: 0,
  durationMs: 1,
  ...parts,
})
const refusal = (service: string, reason: string, checked = true) =>
  hop({
    kind: 'verification',
    service,
    verdict: 'refused',
    reason,
    message: 'invalid signature',
    ...(checked ? { checks: [{ name: 'x', passed: false, rule: 'RFC' }] } : {}),
  })
const acceptance = (service: string) => hop({ kind: 'verification', service, verdict: 'accepted' })
const answered = (status: number, answer: unknown) => ({ status, answer, durationMs: 5 })
const said = (parts: Partial<Run>) => {
  const { kind, tone, words, why } = verdictOf(run(parts)) ?? {}
  return [kind, tone, words, why]
}

const good = { valid: true, claims: {} }
const bad = (message: string) => ({ valid: false, error: { name: 'JsonWebTokenError', message }, claims: {} })
const noToken = { valid: false, message: 'no token provided' }
/** Each fault with the answer of its callee, the reason of its verifier, and the words of the page. */
const FAULTS = [
  ['expired', bad('jwt expired'), 'expired', 'the token has expired'],
  ['wrong-audience', bad('jwt audience invalid. expected: serviceb'), 'audience_mismatch', 'wrong audience'],
  ['wrong-key', bad('invalid signature'), 'key_unknown', 'unknown signing key'],
  ['tampered', bad('invalid signature'), 'signature_invalid', 'the signature does not match'],
  ['no-token', noToken, 'no_token', 'no token'],
] as const
const ofFault = (service: string, reason: string) =>
  reason === 'no_token' ? hop({ service, status: 401, reason }) : refusal(service, reason)

describe('verdictOf, by scenario and fault', () => {
  it.each([
    [1, good, 'accepted'],
    [2, { serviceb: good, servicec: good }, 'accepted by B and C'],
    [3, good, 'accepted'],
    [4, { serviceB: good, serviceC: good }, 'accepted by B and C'],
    [5, { ...good, status: 200, message: 'Success!!!' }, 'accepted'],
    [6, { user: 'user1', jti: 'x' }, 'accepted'],
    [7, { ended: { reason: 'token_expired' }, events: [] }, 'accepted'],
  ])('scenario %d with a valid token', (scenario, answer, words) =>
    expect(said({ scenario, result: answered(200, answer) })).toEqual(['accepted', 'good', words, undefined]),
  )

  describe.each(FAULTS)('with %s', (fault, answer, reason, why) => {
    it.each([
      [1, 200, answer, 'jwt-factory', 'rejected'],
      [2, 200, { serviceb: good, servicec: answer }, 'service-c', 'rejected by C, accepted by B'],
      [3, 200, answer, 'service-b', 'rejected'],
      [4, 200, { serviceB: answer, serviceC: answer }, 'service-b', 'rejected by B and C'],
      [7, 401, { error: { code: 'invalid_token', message: 'invalid signature' } }, 'sse-gateway', 'rejected'],
    ])('scenario %d', (scenario, status, body, service, words) =>
      expect(
        said({ scenario, fault, hops: [ofFault(service, reason)], result: answered(status, body) }),
      ).toEqual(['refused', 'bad', words, why]),
    )
  })

  it('scenario 5 with a wrong audience, with the reason of its own verifier', () =>
    expect(
      said({
        scenario: 5,
        fault: 'wrong-audience',
        hops: [refusal('spiffe-server', 'wrong_audience')],
        result: answered(200, { valid: false, status: 401, message: 'Unauthorized' }),
      }),
    ).toEqual(['refused', 'bad', 'rejected', 'wrong audience']))

  it('scenario 6 without a user', () =>
    expect(
      said({
        scenario: 6,
        fault: 'no-token',
        hops: [hop({ service: 'token-cache-proxy', status: 401, reason: 'no_identity' })],
        result: answered(401, { error: { code: 'no_identity', message: 'x' } }),
      }),
    ).toEqual(['refused', 'bad', 'rejected', 'the request names no user']))
})

describe('verdictOf, when no token was judged', () => {
  it.each([404, 400, 302, 429, 500, 502, 503, 504, 0])(
    'an answer of %d is a failure and not green',
    (status) =>
      expect(
        said({
          scenario: 3,
          fault: 'wrong-key',
          result: answered(status, { error: { message: 'Out of order.' } }),
        }),
      ).toEqual(['failed', 'warn', 'failed', 'Out of order']),
  )

  it.each([
    ['a string', 'hello'],
    ['no verdict', { hello: 1 }],
    ['null', null],
    ['a list', []],
  ])('an answer without a verdict, %s, is a failure', (_what, answer) =>
    expect(said({ scenario: 1, result: answered(200, answer) })).toEqual([
      'failed',
      'warn',
      'failed',
      'the answer contains no verdict',
    ]),
  )

  it('a server of scenario 5 that is down is a failure, not a rejection', () =>
    expect(
      said({
        scenario: 5,
        result: answered(502, { error: { message: 'spiffe-server answered 502: Bad Gateway.' } }),
      }),
    ).toEqual(['failed', 'warn', 'failed', 'spiffe-server answered 502: Bad Gateway']))

  it('names the failed callee and the other one', () =>
    expect(
      said({
        scenario: 4,
        result: answered(200, { serviceB: good, serviceC: { error: { message: 'down' } } }),
      }),
    ).toEqual(['failed', 'warn', 'failed at C, accepted by B', 'down']))

  it.each([
    [{}, 'failed', 'the stream was interrupted'],
    [{ reason: 'shutting_down' }, 'failed', 'the stream was interrupted (shutting_down)'],
    [{ reason: 'token_revoked' }, 'refused', 'the token was revoked'],
  ])('a stream that ended with %j', (ended, kind, why) =>
    expect(said({ scenario: 7, result: answered(200, { ended, events: [] }) })).toEqual([
      kind,
      kind === 'failed' ? 'warn' : 'bad',
      kind === 'failed' ? 'failed' : 'rejected',
      why,
    ]),
  )
})

describe('verdictOf', () => {
  it('never shows an accepted bad token in green', () =>
    expect(said({ scenario: 3, fault: 'wrong-key', result: answered(200, good) })).toEqual([
      'accepted',
      'bad',
      'accepted',
      'this token should have been rejected',
    ]))

  it('waits for the verifier’s reason before quoting an ambiguous answer', () => {
    const parts = { scenario: 1, fault: 'wrong-key', result: answered(200, bad('invalid signature')) }
    expect(said(parts)).toEqual(['refused', 'bad', 'rejected', undefined])
    expect(said({ ...parts, settled: true })).toEqual(['refused', 'bad', 'rejected', 'invalid signature'])
  })

  it('prefers the verifier that made the checks to the caller that repeats its verdict', () =>
    expect(
      said({
        scenario: 1,
        hops: [refusal('service-b', 'refused', false), refusal('jwt-factory', 'key_unknown')],
        result: answered(200, bad('invalid signature')),
      })[3],
    ).toBe('unknown signing key'))

  it('has no verdict while a run is running', () => expect(verdictOf(run({ running: true }))).toBeUndefined())
})

describe('verdictOf, by the hops of a run that another client started', () => {
  const root = (status: number, path = '/scenario3?fault=tampered') =>
    hop({ service: 'service-a', spanId: 'root', method: 'GET', path, status })
  const call = (peer: string, parts: Partial<Hop>) =>
    hop({ kind: 'call', service: 'service-a', spanId: 'call', parentId: 'root', peer, ...parts })

  it.each([
    ['accepted', [root(200), acceptance('service-b')], ['accepted', 'good', 'accepted', undefined]],
    [
      'rejected by one of two callees',
      [root(200), acceptance('service-b'), refusal('service-c', 'expired')],
      ['refused', 'bad', 'rejected by C, accepted by B', 'the token has expired'],
    ],
    [
      'rejected without a token',
      [
        root(200),
        call('serviceb', { status: 401 }),
        hop({ parentId: 'call', status: 401, reason: 'no_token' }),
      ],
      ['refused', 'bad', 'rejected', 'no token'],
    ],
    ['a 404', [root(404, '/scenario9')], ['failed', 'warn', 'failed', 'service-a answered 404']],
    [
      'a callee that is down',
      [root(502), call('serviceb', { reason: 'peer_unreachable' })],
      ['failed', 'warn', 'failed', 'service-b: peer unreachable'],
    ],
    ['an answer without a verdict', [root(200)], ['other', 'info', 'answered 200', undefined]],
    ['nothing yet', [call('serviceb', { status: 200 })], [undefined, undefined, undefined, undefined]],
  ] as const)('%s', (_what, hops, expected) => expect(said({ hops: [...hops] })).toEqual(expected))
})

describe('stepsOf', () => {
  it('draws the rejection of a request without a token as a verdict, with its rule', () => {
    const hops = [
      hop({ kind: 'call', service: 'service-a', spanId: 'call', peer: 'serviceb', status: 401 }),
      hop({ spanId: 'b', parentId: 'call', status: 401, reason: 'no_token', method: 'GET', path: '/x' }),
    ]
    expect(stepsOf(hops)).toMatchObject([
      { kind: 'call', peer: 'service-b' },
      {
        kind: 'verification',
        service: 'service-b',
        verdict: 'refused',
        reason: 'no_token',
        checks: [{ passed: false, rule: 'RFC 6750 §3.1' }],
      },
    ])
  })

  it('draws a rejected token once', () => {
    const hops = [
      { ...refusal('service-b', 'expired'), spanId: 'b' },
      hop({ spanId: 'b', status: 401, reason: 'expired' }),
    ]
    expect(stepsOf(hops).filter(({ verdict }) => verdict === 'refused')).toHaveLength(1)
  })
})

describe('titleOf', () => {
  const asked = (peer: string, path: string) =>
    hop({ kind: 'call', service: 'web-ui', peer, path, spanId: path })

  it.each([
    [[asked('service-a', '/scenario3?fault=tampered')], { scenario: 3, fault: 'tampered' }],
    [[asked('service-a', '/scenario5?audience=spiffe%3A%2F%2Fx')], { scenario: 5, fault: 'wrong-audience' }],
    [[asked('token-cache-load-balancer', '/')], { scenario: 6 }],
    [[asked('sse-gateway', '/token'), asked('sse-gateway', '/events')], { scenario: 7 }],
    [
      [asked('sse-gateway', '/events'), refusal('sse-gateway', 'signature_invalid')],
      { scenario: 7, fault: 'tampered' },
    ],
    [[hop({ service: 'service-a', path: '/scenario1' })], {}],
  ])('infers the scenario of the hops %#', (hops, expected) => expect(scenarioIn(hops)).toEqual(expected))

  it('titles a run from a terminal by its request and query', () =>
    expect(titleOf(run({ hops: [hop({ service: 'service-a', path: '/scenario1?expired=1' })] }))).toBe(
      'service-a /scenario1?expired=1',
    ))
})
