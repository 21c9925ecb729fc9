// @ts-check

import { ScenarioCards } from './explorer-cards.js'
import { drawPreview } from './explorer-diagram.js'
import { el } from './explorer-dom.js'
import { drawRun } from './explorer-drawing.js'
import { RunHistory } from './explorer-history.js'
import { isTraceId, placeInAddress, writeAddress } from './explorer-location.js'
import { titleOf } from './explorer-run.js'
import { isOfInterest, RunBook } from './explorer-run-book.js'
import { runTitle, SCENARIOS } from './explorer-scenarios.js'
import { HopStream } from './explorer-stream.js'
import { verdictOf } from './explorer-verdict.js'
import { unwatched } from './unwatched.js'

/** @typedef {import('./explorer-run.js').Run} Run */

/** Longer than any run: scenario 7 takes at most 15 s, a call at most 5 s. */
const RUN_TIMEOUT_MS = 30_000
/** After the answer of a run its last hops normally arrive within a fraction of this time. */
const SETTLE_MS = 1_500
/** A replay of all stored hops takes a fraction of this time. */
const UNKNOWN_AFTER_MS = 5_000
/** Time between requests for runs of other tabs while one of them has no result. */
const LIST_AGAIN_MS = 1_000

const root = /** @type {HTMLElement} */ (document.getElementById('explorer'))
const book = new RunBook()
let drawing = false
let pictureIsStale = false
const start = placeInAddress()
/** The trace that is shown; empty before the first run. */
let shown = start.trace
/** The scenario whose services are shown before a run. */
let chosen = start.scenario ?? 1
/** Earlier runs are not shown automatically: the user has not requested them, or has just left them. */
let followsSince = Date.now()
/** The trace of which no hop arrived in time. */
let unknown = ''
/** @type {ReturnType<typeof setTimeout> | undefined} */
let unknownTimer
/** @type {string | undefined} */
let selectedHop
/** @type {import('./explorer-hop.js').Sources} */
let sources = {}
/** Why hops do not arrive at present. @type {string | undefined} */
let away
let listIsDue = false

/** Visible only: it changes each second. The announcers below tell screen readers about changes of state. */
const status = el('p', { class: 'stream-state' })
/** Two announcers, so that a message of one does not replace an unread message of the other. */
const runAnnouncer = el('p', { class: 'unseen', role: 'status' })
const streamAnnouncer = el('p', { class: 'unseen', role: 'status' })
const picture = el('section', { class: 'picture', 'aria-label': 'The hops of the run' })
const streamView = el('div', { class: 'stream-view', 'data-state': '' }, status)
const cards = new ScenarioCards({ onRun: run, onLook: preview })
const runHistory = new RunHistory((traceId) => show(traceId, 'push'))

root.replaceChildren(
  el(
    'div',
    { class: 'rail' },
    el('h2', { class: 'unseen' }, 'Scenarios'),
    el('div', { class: 'scenarios' }, ...cards.elements),
  ),
  el('div', { class: 'stage' }, streamView, picture),
  el('aside', { class: 'history' }, el('h2', {}, 'Runs'), runHistory.element),
  runAnnouncer,
  streamAnnouncer,
)
if (start.scenario) cards.choose(start.scenario, start.fault)
waitForShown()

new HopStream({
  onHop(hop) {
    const run = book.addHop(hop)
    if (!run) return
    if (run.foreign && run.scenario !== undefined) listSoon()
    if (shown === run.traceId) found(run)
    else if (shown === '' && run.startedAt >= followsSince && isOfInterest(run)) show(run.traceId, 'replace')
    else draw({ picture: false })
  },
  onState(state, detail) {
    status.textContent = detail
    const before = streamView.dataset.state
    if (state === before) return
    streamView.dataset.state = state
    away = state === 'live' ? undefined : detail
    if (state !== 'live' && state !== 'connecting') announce(streamAnnouncer, detail)
    else if (state === 'live' && before && before !== 'connecting')
      announce(streamAnnouncer, 'The stream of hops is live again.')
    draw()
  },
}).open()
void list()
void fetch('/live/sources', { headers: unwatched() })
  .then((response) => response.json())
  .then((links) => {
    sources = links
    draw()
  })
  // Without them, checks are shown without their source lines.
  .catch(() => {})
// Only a change of width needs a redraw; the height follows from the content.
let room = 0
new ResizeObserver(() => {
  if (picture.clientWidth === room) return
  room = picture.clientWidth
  draw()
}).observe(picture)
addEventListener('popstate', () => {
  const place = placeInAddress()
  if (place.scenario) cards.choose(place.scenario, place.fault)
  chosen = place.scenario ?? chosen
  if (place.trace === '') followsSince = Date.now()
  lookAt(place.trace)
})
draw()

/** @param {number} scenario */
function preview(scenario) {
  if (shown !== '' || chosen === scenario) return
  chosen = scenario
  draw()
}

/**
 * @param {number} scenario
 * @param {string | undefined} fault
 */
async function run(scenario, fault) {
  const { traceId } = book.begin(crypto.randomUUID().replaceAll('-', ''), scenario, fault)
  cards.choose(scenario, fault)
  show(traceId, 'push')
  // Immediately: the card still shows the outcome of the run before.
  cards.draw((number) => book.latestOf(number))
  // On a phone the picture is below the scenarios.
  if (picture.getBoundingClientRect().top > innerHeight / 2)
    picture.scrollIntoView({
      behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
    })
  const result = await resultOf({ scenario, fault, traceId })
  // The run may have been dropped from the book meanwhile.
  const known = book.get(traceId)
  if (!known) return
  Object.assign(known, { result, running: false })
  settle(known)
  draw()
}

/**
 * Runs a scenario. A failure is a result too, with status 0 if there was no answer.
 * @param {{ scenario: number, fault: string | undefined, traceId: string }} request
 * @returns {Promise<NonNullable<Run['result']>>}
 */
async function resultOf(request) {
  const started = performance.now()
  const failed = (/** @type {number} */ status, /** @type {unknown} */ answer) => ({
    status,
    answer,
    durationMs: performance.now() - started,
  })
  try {
    const response = await fetch('/explorer/runs', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...unwatched() },
      body: JSON.stringify(request),
      signal: AbortSignal.timeout(RUN_TIMEOUT_MS),
    })
    const body = await response.json().catch(() => undefined)
    if (response.ok && body) return body
    return failed(
      response.ok ? 502 : response.status,
      body ?? problem(`The web UI answered ${response.status}`),
    )
  } catch (error) {
    const late = /** @type {Error} */ (error).name === 'TimeoutError'
    return failed(
      0,
      problem(
        late ? `The web UI did not answer within ${RUN_TIMEOUT_MS / 1000} s` : 'The web UI does not answer',
      ),
    )
  }
}

const problem = (/** @type {string} */ message) => ({ error: { message } })

/**
 * Announces the verdict on a run as soon as its reason is known: from the verifier's hop, or else from the answer.
 * @param {Run} run
 */
function settle(run) {
  const say = () => {
    const { words = '', why } = verdictOf(run) ?? {}
    announce(runAnnouncer, `${titleOf(run)}: ${words}${why ? `, ${why}` : ''}.`)
  }
  const heard = () => verdictOf(run)?.kind !== 'refused' || verdictOf(run)?.why !== undefined
  const told = heard()
  if (told) say()
  setTimeout(() => {
    run.settled = true
    if (!told) say()
    // Redraw only if the verdict has changed, or to show that no hops have arrived.
    draw({ picture: !told || run.hops.length === 0 })
  }, SETTLE_MS)
}

/**
 * Announces a message to screen readers.
 * @param {HTMLElement} announcer
 * @param {string} text
 */
function announce(announcer, text) {
  announcer.textContent = text
}

/**
 * Shows a run and writes its address.
 * @param {string} traceId
 * @param {'push' | 'replace'} how
 */
function show(traceId, how) {
  const { scenario, fault } = book.get(traceId) ?? {}
  writeAddress({ trace: traceId, ...(scenario ? { scenario } : {}), ...(fault ? { fault } : {}) }, how)
  lookAt(traceId)
}

/** @param {string} traceId */
function lookAt(traceId) {
  if (shown !== traceId) selectedHop = undefined
  shown = traceId
  waitForShown()
  draw()
}

/** Reports after a while that a trace is unknown: a link may name one that is too old or never existed. */
function waitForShown() {
  clearTimeout(unknownTimer)
  unknown = ''
  if (shown === '' || book.get(shown)) return
  unknownTimer = setTimeout(() => {
    unknown = shown
    draw()
  }, UNKNOWN_AFTER_MS)
}

/** Updates address and picture when more is known about the shown run. @param {Run} run */
function found({ traceId, scenario, fault }) {
  if (scenario !== undefined)
    writeAddress({ trace: traceId, scenario, ...(fault ? { fault } : {}) }, 'replace')
  draw()
}

/** Loads the runs of other tabs, and those from before this page was loaded, with their results. */
async function list() {
  listIsDue = false
  const response = await fetch('/explorer/runs', {
    headers: unwatched(),
    signal: AbortSignal.timeout(RUN_TIMEOUT_MS),
  }).catch(() => undefined)
  if (!response?.ok) return
  const { runs } = /** @type {{ runs: import('./explorer-run-book.js').ListedRun[] }} */ (
    await response.json()
  )
  for (const listed of runs.reverse()) {
    const run = book.addListed(listed)
    if (run.result && !run.settled) setTimeout(() => Object.assign(run, { settled: true }), SETTLE_MS)
    if (shown === run.traceId) {
      if (run.scenario && run.hops.length === 0) cards.choose(run.scenario, run.fault)
      found(run)
    }
  }
  if (runs.some(({ result }) => !result)) listSoon()
  draw({ picture: false })
}

function listSoon() {
  if (listIsDue) return
  listIsDue = true
  setTimeout(() => void list(), LIST_AGAIN_MS)
}

/** Schedules one redraw per frame, as hops arrive in bursts. The picture is redrawn only if asked for. */
function draw({ picture = true } = {}) {
  pictureIsStale ||= picture
  if (drawing) return
  drawing = true
  requestAnimationFrame(() => {
    drawing = false
    if (pictureIsStale) drawPicture()
    pictureIsStale = false
    runHistory.draw(book.list(), shown)
    cards.draw((scenario) => book.latestOf(scenario))
  })
}

function drawPicture() {
  const run = book.get(shown)
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
  if (shown !== '') return [missingRun()]
  const scenario = SCENARIOS.find(({ number }) => number === chosen) ?? SCENARIOS[0]
  return [
    el('header', { class: 'picture-head' }, el('h2', {}, `Scenario ${scenario?.number}: ${scenario?.title}`)),
    drawPreview(scenario?.lanes ?? [], width),
    el('p', { class: 'meta' }, 'Run it here or with curl. Each hop is drawn as it happens.'),
  ]
}

/** Makes the replacement for a run without hops. */
function missingRun() {
  const { scenario, fault } = placeInAddress()
  const isId = isTraceId(shown)
  if (isId && unknown !== shown)
    return el('p', { class: 'empty' }, away ?? 'Waiting for the hops of this trace…')
  const known = SCENARIOS.find(({ number }) => number === scenario)
  const usable = known && (!fault || known.faults.includes(fault))
  const again = el('button', { type: 'button', class: 'primary', 'data-key': 'again' })
  if (usable) {
    again.textContent = `Run ${runTitle(known.number, fault).replace('S', 's')}`
    again.addEventListener('click', () => run(known.number, fault))
  }
  return el(
    'div',
    { class: 'empty stack unknown-run' },
    el('h2', {}, isId ? 'Unknown trace ID' : 'Invalid trace ID'),
    el('p', {}, el('code', {}, shown.slice(0, 64))),
    el(
      'p',
      {},
      isId
        ? `No service has reported a hop of this trace. ${away ?? 'The run may be too old, or the link incomplete: only the latest runs are stored, until the next restart.'}`
        : 'A trace ID has 32 hexadecimal digits. The link may be incomplete.',
    ),
    el('p', {}, 'Run a scenario, or choose a run from the list.'),
    usable ? el('p', {}, again) : undefined,
  )
}
