// @ts-check

import { drawPreview } from './explorer-diagram.js'
import { el } from './explorer-dom.js'
import { drawRun } from './explorer-drawing.js'
import { hasRefusal, keyOf, titleOf, verdictOf } from './explorer-run.js'
import { faultName, runTitle, SCENARIOS } from './explorer-scenarios.js'
import { HopStream } from './explorer-stream.js'
import { unwatched } from './unwatched.js'

/** @typedef {import('./explorer-run.js').Run} Run */

/** Runs that are kept on the page; the server's log keeps about as many. */
const MAX_RUNS = 50
const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })

const root = /** @type {HTMLElement} */ (document.getElementById('explorer'))
/** @type {Map<string, Run>} */
const runs = new Map()
let drawing = false
let pictureIsOld = false
let historyDrawn = ''
let shown = new URLSearchParams(location.search).get('trace') ?? ''
/** The scenario whose services are shown while there is no run. */
let chosen = 1
/** @type {string | undefined} */
let selectedHop
/** @type {import('./explorer-hop.js').Sources} */
let sources = {}
/** Why hops do not come at present. @type {string | undefined} */
let away

/** What is seen counts down by the second; what is heard is said once. */
const status = el('p', { class: 'stream-state' })
const announcer = el('p', { class: 'unseen', role: 'status' })
const picture = el('section', { class: 'picture', 'aria-label': 'The hops of the run' })
const history = el('ol', { class: 'runs' })
const streamView = el('div', { class: 'stream-view', 'data-state': '' }, status)

root.replaceChildren(
  el(
    'div',
    { class: 'rail' },
    el('h2', { class: 'unseen' }, 'Scenarios'),
    el('div', { class: 'scenarios' }, ...SCENARIOS.map(scenarioCard)),
  ),
  el('div', { class: 'stage' }, streamView, picture),
  el('aside', { class: 'history' }, el('h2', {}, 'Runs'), history),
  announcer,
)

new HopStream({
  onHop(hop) {
    const run =
      runs.get(hop.traceId) ?? remember({ traceId: hop.traceId, hops: [], startedAt: hop.startedAt })
    // A replay after a reconnect brings what is known already.
    if (run.hops.some((known) => keyOf(known) === keyOf(hop))) return
    run.hops.push(hop)
    if (shown === run.traceId || (shown === '' && isOfInterest(run))) show(run.traceId)
    else draw({ picture: false })
  },
  onState(state, detail) {
    status.textContent = detail
    const before = streamView.dataset.state
    if (state === before) return
    streamView.dataset.state = state
    away = state === 'live' ? undefined : detail
    if (away) announce(away)
    else if (before) announce('The stream of hops is live again.')
    draw()
  },
}).open()
void fetch('/live/sources', { headers: unwatched() })
  .then((response) => response.json())
  .then((links) => {
    sources = links
    draw()
  })
  // Without them checks are shown without the line that decided.
  .catch(() => {})
// Its height is of our own making.
let room = 0
new ResizeObserver(() => {
  if (picture.clientWidth === room) return
  room = picture.clientWidth
  draw()
}).observe(picture)
draw()

/** @param {import('./explorer-scenarios.js').Scenario} scenario */
function scenarioCard({ number, title, story, faults, spoils }) {
  const select = /** @type {HTMLSelectElement} */ (
    el(
      'select',
      { 'aria-label': `What scenario ${number} is run with` },
      el('option', { value: '' }, spoils ? 'Good tokens' : 'Good token'),
      ...faults.map((fault) => el('option', { value: fault }, faultName(number, fault))),
    )
  )
  const button = el(
    'button',
    { type: 'button', class: 'primary', 'aria-label': `Run scenario ${number}, ${title}` },
    'Run',
  )
  // A choice alone runs nothing: who chooses by keyboard passes by the others (WCAG 3.2.2).
  button.addEventListener('click', () => run(number, select.value || undefined, card))
  const card = el(
    'article',
    { class: 'scenario', 'data-scenario': String(number) },
    el('span', { class: 'scenario-number', 'aria-hidden': 'true' }, String(number)),
    el('h3', {}, title),
    el('p', { class: 'meta' }, story),
    el('div', { class: 'actions' }, button, select, el('p', { class: 'outcome' })),
  )
  // Whoever looks at a scenario sees who takes part in it, unless a run is being looked at.
  card.addEventListener('focusin', () => preview(number))
  card.addEventListener('pointerenter', () => preview(number))
  return card
}

/** @param {number} scenario */
function preview(scenario) {
  if (shown !== '' || chosen === scenario) return
  chosen = scenario
  draw()
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
  const traceId = crypto.randomUUID().replaceAll('-', '')
  const known = remember({
    traceId,
    hops: [],
    startedAt: Date.now(),
    running: true,
    title: runTitle(scenario, fault),
    lanes: SCENARIOS.find(({ number }) => number === scenario)?.lanes ?? [],
  })
  show(traceId)
  // On a phone the picture is below the scenarios.
  if (picture.getBoundingClientRect().top > innerHeight / 2)
    picture.scrollIntoView({
      behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
    })
  const response = await fetch('/explorer/runs', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...unwatched() },
    body: JSON.stringify({ scenario, fault, traceId }),
  }).catch(() => undefined)
  known.running = false
  if (!response?.ok) {
    const problem = await response?.json().catch(() => undefined)
    outcome.textContent = problem?.error?.message ?? 'The web UI does not answer.'
    outcome.className = 'outcome tone-bad'
    announce(`${known.title}: ${outcome.textContent}`)
    draw()
    return
  }
  known.result = await response.json()
  const { accepted = false, words, why } = verdictOf(known) ?? {}
  outcome.textContent = `${words} after ${Math.round(known.result?.durationMs ?? 0)} ms`
  outcome.className = `outcome ${accepted ? 'tone-good' : 'tone-bad'}`
  announce(`${known.title}: ${words}${why ? `, ${why}` : ''}.`)
  draw()
}

/** For whoever listens to the page. @param {string} text */
function announce(text) {
  announcer.textContent = text
}

/** @param {Run} run */
function remember(run) {
  runs.set(run.traceId, run)
  if (runs.size <= MAX_RUNS) return run
  // Pages and their files come in dozens, and must not drive out what somebody has run.
  const all = [...runs.values()]
  const oldest = all.find((known) => known !== run && !isOfInterest(known)) ?? all[0]
  if (oldest) runs.delete(oldest.traceId)
  return run
}

/** @param {string} traceId */
function show(traceId) {
  if (shown !== traceId) selectedHop = undefined
  shown = traceId
  const url = new URL(location.href)
  url.searchParams.set('trace', traceId)
  window.history.replaceState(null, '', url)
  draw()
}

/** Many hops arrive in one burst; one drawing a frame is enough, and most are of a run that is not shown. */
function draw({ picture = true } = {}) {
  pictureIsOld ||= picture
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    if (pictureIsOld) drawPicture()
    pictureIsOld = false
    drawHistory()
  })
}

function drawPicture() {
  const run = runs.get(shown)
  const width = picture.clientWidth
  const scroll = picture.querySelector('.diagram')?.scrollLeft ?? 0
  const focused = picture.contains(document.activeElement)
    ? /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.key
    : undefined
  if (run)
    picture.replaceChildren(
      drawRun(run, {
        width,
        sources,
        away,
        selected: selectedHop,
        onSelect: (key) => {
          selectedHop = key
        },
      }),
    )
  else picture.replaceChildren(...emptyPicture(width))
  const frame = picture.querySelector('.diagram')
  if (frame) frame.scrollLeft = scroll
  if (focused !== undefined)
    /** @type {HTMLElement | null} */ (picture.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus()
}

/** @param {number} width */
function emptyPicture(width) {
  if (shown !== '') return [el('p', { class: 'empty' }, away ?? 'Waiting for the hops of this trace …')]
  const scenario = SCENARIOS.find(({ number }) => number === chosen)
  return [
    el('header', { class: 'picture-head' }, el('h2', {}, `Scenario ${chosen}: ${scenario?.title}`)),
    drawPreview(scenario?.lanes ?? [], width),
    el('p', { class: 'meta' }, 'Run it, here or with curl: each hop is drawn as it happens.'),
  ]
}

/**
 * Pages, pictures, probes and key sets are requests too, but nothing happens in them that a token has a part in.
 * @param {Run} run
 */
function isOfInterest(run) {
  return (
    run.title !== undefined ||
    run.hops.some(
      ({ kind, path = '' }) =>
        kind === 'verification' || (kind === 'request' && path.startsWith('/scenario')),
    )
  )
}

function drawHistory() {
  const latest = [...runs.values()].filter(isOfInterest).sort((a, b) => b.startedAt - a.startedAt)
  if (latest.length === 0) return history.replaceChildren(el('li', { class: 'meta' }, 'None yet.'))
  const rows = latest.map((run) => ({
    run,
    refused: !(verdictOf(run)?.accepted ?? !hasRefusal(run)),
    title: run.title ?? titleOf(run),
  }))
  const seen = JSON.stringify([
    shown,
    ...rows.map(({ run, refused, title }) => [run.traceId, refused, title]),
  ])
  if (seen === historyDrawn) return
  historyDrawn = seen
  history.replaceChildren(
    ...rows.map(({ run, refused, title }) => {
      const link = el(
        'a',
        {
          href: `?trace=${run.traceId}`,
          'data-key': run.traceId,
          ...(run.traceId === shown ? { 'aria-current': 'true' } : {}),
        },
        el('span', {
          class: refused ? 'dot tone-bad' : 'dot tone-good',
          role: 'img',
          'aria-label': refused ? 'refused' : 'accepted',
        }),
        el('span', {}, title),
        el('small', {}, TIME.format(run.startedAt)),
      )
      link.addEventListener('click', (event) => {
        event.preventDefault()
        show(run.traceId)
      })
      return el('li', {}, link)
    }),
  )
}
