// @ts-check

import { el } from '../explorer-dom.js'
import { postJson, redraw, say, table } from './live-page.js'

/**
 * @typedef {{ scenario: number, latencies: number[], failures: number, tokenSeconds?: number, issuerCalls: number }} Measurement
 * @typedef {{ p50: number, p99: number, requests: number, failures: number, issuerCalls: number, tokenSeconds: number | undefined }} Figures
 */

/** Steps of the progress bar for each scenario. */
const BATCHES = 4
/** The largest batch that the web UI measures in one request. */
const LARGEST_BATCH = 100
/**
 * Requests of each scenario: enough for a meaningful 99th percentile, done in a few seconds. `?requests=400` sets
 * another number.
 */
const wanted = Number(new URLSearchParams(location.search).get('requests')) || 200
const BATCH = Math.min(LARGEST_BATCH, Math.max(1, Math.round(wanted / BATCHES)))
/** Requests that are not counted: connections open and code is compiled. */
const WARM_UP = 20

const SCENARIOS = [
  {
    number: 1,
    title: 'Central signing',
    keys: 'All private keys are at the factory; A and B have none.',
    token:
      'An attacker can call B with sub A, and no other service. B calls the factory for each token, so a revocation is effective immediately.',
    key: 'B has no key that signs tokens. Its client credential gets tokens with sub B until it is revoked.',
  },
  {
    number: 2,
    title: 'Fan-out',
    keys: 'All private keys are at the factory; A, B and C have none.',
    token: 'An attacker can call B with sub A. C rejects the token: its audience is only B.',
    key: 'As in 1, and the same for C.',
  },
  {
    number: 3,
    title: 'Self-signed over TLS',
    keys: 'A’s private key is in A’s own file; B has the public key.',
    token:
      'An attacker can call B with sub A. B verifies locally, so only expiry stops it: the lifetime is short.',
    key: 'With B’s TLS key an attacker can impersonate B and collect A’s tokens for B, until the certificate is replaced.',
  },
  {
    number: 4,
    title: 'Self-signed fan-out',
    keys: 'A’s private key is in A’s own file; B and C have the public key.',
    token: 'An attacker can call B with sub A, but not C: each callee gets its own token.',
    key: 'As in 3; C has its own key and certificate.',
  },
]

const root = /** @type {HTMLElement} */ (document.getElementById('live'))
/** @type {Map<number, Figures>} */
const measured = new Map()
const button = /** @type {HTMLButtonElement} */ (
  el('button', { type: 'button', class: 'primary' }, 'Measure on this machine')
)
const progress = /** @type {HTMLProgressElement} */ (
  el('progress', {
    max: String(SCENARIOS.length * BATCHES),
    value: '0',
    'aria-label': 'Measurement progress',
    hidden: '',
  })
)
const result = el('div', { class: 'stack' })

let isMeasuring = false
button.addEventListener('click', async () => {
  // Two measurements at a time would distort each other.
  if (isMeasuring) return
  isMeasuring = true
  button.setAttribute('aria-busy', 'true')
  progress.hidden = false
  progress.value = 0
  measured.clear()
  try {
    for (const { number } of SCENARIOS) {
      say('info', `Measuring scenario ${number}`)
      measured.set(number, await measure(number))
      draw()
    }
    say('good', `Measured on this machine: ${BATCHES * BATCH} requests of each scenario`)
  } catch (error) {
    say('bad', /** @type {Error} */ (error).message)
  }
  isMeasuring = false
  progress.hidden = true
  button.removeAttribute('aria-busy')
})
root.replaceChildren(
  el(
    'div',
    { class: 'actions' },
    button,
    progress,
    el(
      'p',
      { class: 'meta' },
      `Sends ${BATCHES * BATCH} requests of each scenario, four at a time, from the web UI. Takes a few seconds.`,
    ),
  ),
  result,
)
say('info', 'Not measured yet')
draw()

/** @param {number} scenario */
async function measure(scenario) {
  await ask(scenario, WARM_UP)
  /** @type {Measurement[]} */
  const batches = []
  for (let batch = 0; batch < BATCHES; batch += 1) {
    batches.push(await ask(scenario, BATCH))
    progress.value += 1
  }
  const latencies = batches.flatMap((one) => one.latencies).sort((a, b) => a - b)
  const at = (/** @type {number} */ share) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  const sum = (/** @type {'failures' | 'issuerCalls'} */ figure) =>
    batches.reduce((total, one) => total + one[figure], 0)
  return {
    p50: at(0.5),
    p99: at(0.99),
    requests: latencies.length,
    failures: sum('failures'),
    issuerCalls: sum('issuerCalls'),
    tokenSeconds: batches.find((one) => one.tokenSeconds !== undefined)?.tokenSeconds,
  }
}

/**
 * @param {number} scenario
 * @param {number} requests
 * @returns {Promise<Measurement>}
 */
const ask = (scenario, requests) => postJson('/live/measurements', { scenario, requests })

function draw() {
  const slowest = Math.max(1, ...[...measured.values()].map(({ p99 }) => p99))
  const figure = (/** @type {number} */ number, /** @type {(figures: Figures) => Node | string} */ show) => {
    const figures = measured.get(number)
    return figures ? show(figures) : el('span', { class: 'meta' }, 'not measured')
  }
  const bar = (/** @type {number} */ milliseconds) => {
    const fill = el('i')
    fill.style.inlineSize = `${(milliseconds / slowest) * 100}%`
    return el(
      'span',
      { class: 'life-row' },
      el('span', { class: 'life', 'aria-hidden': 'true' }, fill),
      `${milliseconds.toFixed(1)} ms`,
    )
  }
  /** @type {[string, (scenario: (typeof SCENARIOS)[number]) => Node | string][]} */
  const rows = [
    ['p50 latency', ({ number }) => figure(number, ({ p50 }) => bar(p50))],
    ['p99 latency', ({ number }) => figure(number, ({ p99 }) => bar(p99))],
    [
      'Issuer calls per request',
      ({ number }) =>
        figure(number, ({ issuerCalls, requests }) =>
          (issuerCalls / requests).toFixed(issuerCalls % requests === 0 ? 0 : 2),
        ),
    ],
    ['Failed requests', ({ number }) => figure(number, ({ failures }) => String(failures))],
    ['Where the keys are', ({ keys }) => keys],
    ['If B’s token is stolen', ({ token }) => token],
    [
      'A stolen token is valid for',
      ({ number }) =>
        figure(number, ({ tokenSeconds }) =>
          tokenSeconds === undefined
            ? 'unknown'
            : `at most ${tokenSeconds >= 120 ? `${tokenSeconds / 60} min` : `${tokenSeconds} s`} (iat to exp)`,
        ),
    ],
    ['If B’s key is stolen', ({ key }) => key],
  ]
  const comparison = table(
    'Comparison of scenarios 1 to 4',
    ['', ...SCENARIOS.map(({ number, title }) => `${number}  ${title}`)],
    rows.map(([title, cell]) => [title, ...SCENARIOS.map(cell)]),
    '',
  )
  comparison.classList.add('comparison')
  redraw(result, [comparison])
}
