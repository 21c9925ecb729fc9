// @ts-check

/**
 * @typedef {object} Scenario
 * @property {number} number
 * @property {string} title
 * @property {string} story
 * @property {string[]} faults
 * @property {string} [spoils] whose token the fault is in, where there are several tokens.
 * @property {string[]} lanes the services, in the order of the diagram.
 */

/** @type {Readonly<Record<string, string>>} */
const FAULTS = {
  expired: 'Expired token',
  'wrong-audience': 'Wrong audience',
  'wrong-key': 'Wrong key',
  tampered: 'Tampered payload',
  'no-token': 'No token',
}
const ALL = Object.keys(FAULTS)

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  {
    number: 1,
    title: 'Central signing',
    story: 'The factory holds the keys: it signs A’s token, and B calls it to verify the token.',
    faults: ALL,
    lanes: ['web-ui', 'service-a', 'jwt-factory', 'service-b'],
  },
  {
    number: 2,
    title: 'Fan-out',
    story:
      'One token for each callee: C rejects B’s token, and a bad token for C does not affect the call to B.',
    faults: ALL,
    spoils: 'C',
    lanes: ['web-ui', 'service-a', 'jwt-factory', 'service-b', 'service-c'],
  },
  {
    number: 3,
    title: 'Self-signed over TLS',
    story: 'A signs with its own key. B has the public key and verifies locally.',
    faults: ALL,
    lanes: ['web-ui', 'service-a', 'service-b'],
  },
  {
    number: 4,
    title: 'Self-signed fan-out',
    story:
      'The same for two callees called concurrently, each with its own token. A fault is in both tokens.',
    faults: ALL,
    spoils: 'both',
    lanes: ['web-ui', 'service-a', 'service-b', 'service-c'],
  },
  {
    number: 5,
    title: 'JWT-SVID through a proxy',
    story: 'An agent identifies A. A proxy terminates TLS; the token passes through it to the server.',
    faults: ['wrong-audience'],
    lanes: ['web-ui', 'service-a', 'spiffe-proxy', 'spiffe-server'],
  },
  {
    number: 6,
    title: 'Cached tokens',
    story: 'Two proxies share one cache: one issuer call serves a thousand requests.',
    faults: ['no-token'],
    lanes: [
      'web-ui',
      'token-cache-load-balancer',
      'token-cache-proxy',
      'token-cache-auth',
      'token-cache-api',
    ],
  },
  {
    number: 7,
    title: 'Streams bound to a token',
    story:
      'The client answers the first challenge and ignores the second; the stream closes at token expiry.',
    faults: ALL,
    lanes: ['web-ui', 'sse-gateway', 'sse-server'],
  },
]

/**
 * Names a fault and, with several tokens, whose token has it: `No token for C`.
 * @param {number} number
 * @param {string} fault
 */
export function faultName(number, fault) {
  const spoils = SCENARIOS.find((scenario) => scenario.number === number)?.spoils
  return `${FAULTS[fault] ?? fault}${spoils ? ` for ${spoils}` : ''}`
}

/**
 * @param {number} number
 * @param {string | undefined} fault
 */
export const runTitle = (number, fault) =>
  `Scenario ${number}${fault ? `, ${faultName(number, fault).replace(/^./, (first) => first.toLowerCase())}` : ''}`
