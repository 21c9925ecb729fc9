/** The verifiers of each scenario, sorted. */
const VERIFIERS: Readonly<Record<number, readonly string[]>> = {
  1: ['jwt-factory', 'service-b'],
  2: ['jwt-factory', 'jwt-factory', 'service-b', 'service-c'],
  3: ['service-b'],
  4: ['service-b', 'service-c'],
  5: ['spiffe-server'],
  6: ['token-cache-api'],
}
/** By fault: the reason of a verifier with its own key, and of jwt-factory, which its callers repeat. */
const REASONS: Readonly<Record<string, readonly [own: string, factory: string]>> = {
  expired: ['expired', 'expired'],
  'wrong-audience': ['audience_mismatch', 'audience_mismatch'],
  'wrong-key': ['signature_invalid', 'key_unknown'],
  tampered: ['signature_invalid', 'signature_invalid'],
  'no-token': ['no_token', 'no_token'],
}
/** The reasons as the page words them. */
const WORDS: Readonly<Record<string, string>> = {
  expired: 'the token has expired',
  audience_mismatch: 'wrong audience',
  signature_invalid: 'the signature does not match',
  key_unknown: 'unknown signing key',
  no_token: 'no token',
}

/** Scenario, fault, expected outcome, all drawn verdicts, and the reason. */
export const RUNS: readonly (readonly [number, string | undefined, string, readonly string[], string])[] = [
  ...Object.entries(VERIFIERS).map(
    ([scenario, services]) =>
      [
        Number(scenario),
        undefined,
        ['2', '4'].includes(scenario) ? 'accepted by B and C' : 'accepted',
        services.map((service) => `${service} accepted`),
        '',
      ] as const,
  ),
  ...Object.entries(REASONS).flatMap(([fault, [own, factory]]) => {
    // Without a token the factory is not called.
    const asked = fault === 'no-token' ? [] : [`jwt-factory refused ${factory}`]
    // The gateway does not know the key of the forged token.
    const atGateway = fault === 'wrong-key' ? 'key_unknown' : own
    const [byOwn, byFactory, byGateway] = [own, factory, atGateway].map((reason) => WORDS[reason] as string)
    return [
      [1, fault, 'rejected', [...asked, `service-b refused ${factory}`], byFactory],
      // Each callee has its own token: a bad one for C does not affect B.
      [
        2,
        fault,
        'rejected by C, accepted by B',
        ['jwt-factory accepted', 'service-b accepted', ...asked, `service-c refused ${factory}`],
        byFactory,
      ],
      [3, fault, 'rejected', [`service-b refused ${own}`], byOwn],
      [4, fault, 'rejected by B and C', [`service-b refused ${own}`, `service-c refused ${own}`], byOwn],
      [7, fault, 'rejected', [`sse-gateway refused ${atGateway}`], byGateway],
    ] as unknown as (readonly [number, string, string, readonly string[], string])[]
  }),
  [5, 'wrong-audience', 'rejected', ['spiffe-server refused wrong_audience'], 'wrong audience'],
  [6, 'no-token', 'rejected', ['token-cache-proxy refused no_identity'], 'the request names no user'],
]
