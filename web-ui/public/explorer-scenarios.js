// @ts-check

/**
 * @typedef {object} Scenario
 * @property {number} number
 * @property {string} title
 * @property {string} story
 * @property {string[]} faults
 * @property {string[]} lanes who takes part, in the order in which the picture has them.
 */

/** @type {Readonly<Record<string, string>>} */
export const FAULTS = {
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
    story: 'One token for each callee, so that B can do nothing at C with what it gets.',
    faults: ALL,
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
    story: 'The same for two callees at once, each with a token of its own.',
    faults: ALL,
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
