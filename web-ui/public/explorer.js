// @ts-check

import { el } from './explorer-dom.js'
import { drawRun } from './explorer-drawing.js'
import { HopStream } from './explorer-stream.js'

/**
 * @typedef {object} Scenario
 * @property {number} number
 * @property {string} title
 * @property {string} story
 * @property {string[]} faults
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

/** @type {Scenario[]} */
const SCENARIOS = [
  {
    number: 1,
    title: 'Central signing',
    story: 'The factory holds the keys: it signs for A, and B asks it about the token.',
    faults: ALL,
  },
  {
    number: 2,
    title: 'Fan-out',
    story: 'One token for each callee, so that B can do nothing at C with what it gets.',
    faults: ALL,
  },
  {
    number: 3,
    title: 'Self-signed over TLS',
    story: 'A signs with its own key. B has the public half and asks nobody.',
    faults: ALL,
  },
  { number: 4, title: 'Self-signed fan-out', story: 'The same for two callees at once.', faults: ALL },
  {
    number: 5,
    title: 'JWT-SVID through a proxy',
    story: 'An agent says who A is; the token outlives the TLS that a proxy ends.',
    faults: ['wrong-audience'],
  },
  {
    number: 6,
    title: 'Cached tokens',
    story: 'Two proxies share one cache: the issuer is asked once for a thousand requests.',
    faults: ['no-token'],
  },
]

/** Runs that are kept on the page; the server's log keeps about as many. */
const MAX_RUNS = 50

const root = /** @type {HTMLElement} */ (document.getElementById('explorer'))
/** @type {Map<string, import('./explorer-drawing.js').Run>} */
const runs = new Map()
let drawing = false
let shown = new URLSearchParams(location.search).get('trace') ?? ''

const status = el('p', { class: 'stream-state', role: 'status' })
const picture = el('section', {
  class: 'picture',
  'aria-live': 'polite',
  'aria-label': 'The hops of the run',
})
const history = el('ol', { class: 'runs' })
const streamView = el('div', { class: 'stream-view' }, status)

root.replaceChildren(
  streamView,
  el('div', { class: 'scenarios' }, ...SCENARIOS.map(scenarioCard)),
  el('div', { class: 'stage' }, picture, el('aside', { class: 'history' }, el('h2', {}, 'Runs'), history)),
)

const stream = new HopStream({
  onHop(hop) {
    const run =
      runs.get(hop.traceId) ?? remember({ traceId: hop.traceId, hops: [], startedAt: hop.startedAt })
    // A replay after a reconnect brings what is known already.
    if (
      run.hops.some(
        (known) => known.kind === hop.kind && known.spanId === hop.spanId && known.service === hop.service,
      )
    )
      return
    run.hops.push(hop)
    if (shown === '' || shown === run.traceId) show(run.traceId)
    else drawHistory()
  },
  onState(state, detail) {
    streamView.dataset.state = state
    status.textContent = detail
  },
})
stream.open()
draw()

/** @param {Scenario} scenario */
function scenarioCard({ number, title, story, faults }) {
  const select = /** @type {HTMLSelectElement} */ (
    el(
      'select',
      { 'aria-label': `Run scenario ${number} with` },
      el('option', { value: '' }, 'Run with …'),
      ...faults.map((fault) => el('option', { value: fault }, FAULTS[fault] ?? fault)),
    )
  )
  select.addEventListener('change', () => {
    if (select.value) void run(number, select.value, card)
    select.value = ''
  })
  const button = el('button', { class: 'button primary' }, 'Run')
  button.addEventListener('click', () => run(number, undefined, card))
  const card = el(
    'article',
    { class: 'card scenario', 'data-scenario': String(number) },
    el('p', { class: 'scenario-number' }, `Scenario ${number}`),
    el('h2', {}, title),
    el('p', { class: 'meta' }, story),
    el('div', { class: 'actions' }, button, select),
    el('p', { class: 'outcome', role: 'status' }),
  )
  return card
}

/**
 * @param {number} scenario
 * @param {string | undefined} fault
 * @param {HTMLElement} card
 */
async function run(scenario, fault, card) {
  const outcome = /** @type {HTMLElement} */ (card.querySelector('.outcome'))
  outcome.textContent = 'running …'
  outcome.className = 'outcome'
  const response = await fetch('/explorer/runs', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ scenario, fault }),
  }).catch(() => undefined)
  if (!response?.ok) {
    const problem = await response?.json().catch(() => undefined)
    outcome.textContent = problem?.error?.message ?? 'The web UI does not answer.'
    outcome.className = 'outcome tone-bad'
    return
  }
  const result = await response.json()
  const accepted = result.status === 200 && !JSON.stringify(result.answer).includes('"valid":false')
  outcome.textContent = `${accepted ? 'accepted' : 'refused'} after ${Math.round(result.durationMs)} ms`
  outcome.className = `outcome ${accepted ? 'tone-good' : 'tone-bad'}`
  const known =
    runs.get(result.traceId) ?? remember({ traceId: result.traceId, hops: [], startedAt: Date.now() })
  known.result = result
  known.title = `Scenario ${scenario}${fault ? `, ${FAULTS[fault]?.toLowerCase()}` : ''}`
  show(result.traceId)
}

/** @param {import('./explorer-drawing.js').Run} run */
function remember(run) {
  runs.set(run.traceId, run)
  if (runs.size > MAX_RUNS) runs.delete(/** @type {string} */ (runs.keys().next().value))
  return run
}

/** @param {string} traceId */
function show(traceId) {
  shown = traceId
  const url = new URL(location.href)
  url.searchParams.set('trace', traceId)
  window.history.replaceState(null, '', url)
  draw()
}

/** Many hops arrive in one burst; one drawing a frame is enough. */
function draw() {
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    const run = runs.get(shown)
    picture.replaceChildren(
      run
        ? drawRun(run)
        : el(
            'p',
            { class: 'empty' },
            shown
              ? 'Waiting for the hops of this trace …'
              : 'Run a scenario, or curl one: its hops appear here.',
          ),
    )
    drawHistory()
  })
}

function drawHistory() {
  // Pages, pictures and probes are requests too, but nothing happens in them that a token has a part in.
  const latest = [...runs.values()]
    .filter((run) => run.result || run.hops.some((hop) => hop.kind !== 'request'))
    .sort((a, b) => b.startedAt - a.startedAt)
  history.replaceChildren(
    ...latest.map((run) => {
      const refused = run.hops.some((hop) => hop.verdict === 'refused')
      const first = run.hops.find((hop) => hop.kind === 'request' && hop.path?.startsWith('/scenario'))
      const link = el(
        'a',
        { href: `?trace=${run.traceId}`, ...(run.traceId === shown ? { 'aria-current': 'true' } : {}) },
        el('span', { class: refused ? 'dot tone-bad' : 'dot tone-good' }),
        run.title ?? first?.path ?? run.hops[0]?.path ?? run.traceId.slice(0, 8),
        el('small', {}, new Date(run.startedAt).toLocaleTimeString()),
      )
      link.addEventListener('click', (event) => {
        event.preventDefault()
        show(run.traceId)
      })
      return el('li', {}, link)
    }),
  )
}
