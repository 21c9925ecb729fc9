// @ts-check

/**
 * @typedef {object} Scenario
 * @property {number} number
 * @property {string} title
 * @property {string} story
 * @property {string[]} faults
 * @property {string} [spoils] whose token a fault spoils, where there are several.
 * @property {string[]} lanes who takes part, in the order in which the picture has them.
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
    story: 'The factory holds the keys: it signs for A, and B asks it about the token.',
    faults: ALL,
    lanes: ['web-ui', 'service-a', 'jwt-factory', 'service-b'],
  },
  {
    number: 2,
    title: 'Fan-out',
    story:
      'One token for each callee: what B gets is nothing at C, and a bad one for C changes nothing at B.',
    faults: ALL,
    spoils: 'C',
    lanes: ['web-ui', 'service-a', 'jwt-factory', 'service-b', 'service-c'],
  },
  {
    number: 3,
    title: 'Self-signed over TLS',
    story: 'A signs with its own key. B has the public half and asks nobody.',
    faults: ALL,
    lanes: ['web-ui', 'service-a', 'service-b'],
  },
  {
    number: 4,
    title: 'Self-signed fan-out',
    story: 'The same for two callees at once, each with a token of its own; a fault is in both.',
    faults: ALL,
    spoils: 'both',
    lanes: ['web-ui', 'service-a', 'service-b', 'service-c'],
  },
  {
    number: 5,
    title: 'JWT-SVID through a proxy',
    story: 'An agent says who A is; the token outlives the TLS that a proxy ends.',
    faults: ['wrong-audience'],
    lanes: ['web-ui', 'service-a', 'spiffe-proxy', 'spiffe-server'],
  },
  {
    number: 6,
    title: 'Cached tokens',
    story: 'Two proxies share one cache: the issuer is asked once for a thousand requests.',
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
      'Asked for a new token and given one, the stream stays; asked again in vain, it ends with its token.',
    faults: ALL,
    lanes: ['web-ui', 'sse-gateway', 'sse-server'],
  },
]

/**
 * What is made wrong, and for whom: `No token for C`.
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
