/** Who verifies in each scenario, in the order of the alphabet. */
const VERIFIERS: Readonly<Record<number, readonly string[]>> = {
  1: ['jwt-factory', 'service-b'],
  2: ['jwt-factory', 'jwt-factory', 'service-b', 'service-c'],
  3: ['service-b'],
  4: ['service-b', 'service-c'],
  5: ['spiffe-server'],
  6: ['token-cache-api'],
}
/** By fault: the reason of a verifier with a key of its own, of the factory, and of who repeats its verdict without one. */
const REASONS: Readonly<Record<string, readonly [own: string, factory: string, repeated: string]>> = {
  expired: ['expired', 'expired', 'expired'],
  'wrong-audience': ['audience_mismatch', 'audience_mismatch', 'refused'],
  'wrong-key': ['signature_invalid', 'key_unknown', 'refused'],
  tampered: ['signature_invalid', 'signature_invalid', 'refused'],
}

/** Scenario, fault, what the page says of it, and every verdict that it draws. */
export const RUNS: readonly (readonly [number, string | undefined, string, readonly string[]])[] = [
  ...Object.entries(VERIFIERS).map(
    ([scenario, services]) =>
      [
        Number(scenario),
        undefined,
        ['2', '4'].includes(scenario) ? 'accepted by B and C' : 'accepted',
        services.map((service) => `${service} accepted`),
      ] as const,
  ),
  ...Object.entries(REASONS).flatMap(
    ([fault, [own, factory, repeated]]) =>
      [
        [1, fault, 'refused', [`jwt-factory refused ${factory}`, `service-b refused ${repeated}`]],
        // Each callee has a token of its own: a bad one for C changes nothing at B.
        [
          2,
          fault,
          'refused by C, accepted by B',
          [
            'jwt-factory accepted',
            'service-b accepted',
            `jwt-factory refused ${factory}`,
            `service-c refused ${repeated}`,
          ],
        ],
        [3, fault, 'refused', [`service-b refused ${own}`]],
        [4, fault, 'refused by B and C', [`service-b refused ${own}`, `service-c refused ${own}`]],
        // The key of the forger is one that the gateway has never heard of.
        [7, fault, 'refused', [`sse-gateway refused ${fault === 'wrong-key' ? 'key_unknown' : own}`]],
      ] as const,
  ),
  [5, 'wrong-audience', 'refused', ['spiffe-server refused wrong_audience']],
  [1, 'no-token', 'refused', []],
  [2, 'no-token', 'refused by C, accepted by B', ['jwt-factory accepted', 'service-b accepted']],
  [3, 'no-token', 'refused', []],
  [4, 'no-token', 'refused by B and C', []],
  [6, 'no-token', 'refused', []],
  [7, 'no-token', 'refused', []],
]
