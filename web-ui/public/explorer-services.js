// @ts-check

import { confirmAction } from './confirm-action.js'
import { el } from './explorer-dom.js'
import { unwatched } from './unwatched.js'

/**
 * @typedef {'starting' | 'running' | 'not answering' | 'restarting' | 'stopping' | 'stopped' | 'failed'} State
 * @typedef {{ name: string, shows: string, state: State, needs: string[], restarts: number, lastEnd?: string, fixed?: string }} Service
 */

/** Time between two requests of the list while it is open. */
const AGAIN_MS = 2_000
/** Longer than the launcher waits for a service to get ready: 30 s. */
const TIMEOUT_MS = 45_000
/** @type {Record<State, string>} */
const TONES = {
  running: 'good',
  'not answering': 'bad',
  starting: 'info',
  restarting: 'warn',
  stopping: 'info',
  stopped: 'warn',
  failed: 'bad',
}
/** The services that deliver hops to this page. */
const CARRY_HOPS = ['sse-server', 'sse-gateway']

const root = /** @type {HTMLElement} */ (document.getElementById('services'))
const summary = el('span', { class: 'meta' })
const note = el('p', { class: 'services-note', role: 'status' })
const rows = el('tbody')
const details = /** @type {HTMLDetailsElement} */ (
  el(
    'details',
    {},
    el('summary', {}, el('h2', { id: 'services-title' }, 'Services'), summary),
    el(
      'p',
      { class: 'meta' },
      'Stop a service, run a scenario and see how its callers fail. A stopped service stays stopped until you start it.',
    ),
    note,
    el(
      'table',
      { class: 'table' },
      el('caption', { class: 'unseen' }, 'Services of the suite'),
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          ...['Service', 'State', 'What it does', 'Action'].map((name) => el('th', { scope: 'col' }, name)),
        ),
      ),
      rows,
    ),
  )
)
root.replaceChildren(details)
/** The services that this page is stopping or starting. @type {Map<string, string>} */
const busy = new Map()
let drawn = ''

/** @param {string} path @param {string} method */
async function ask(path, method) {
  const response = await fetch(path, {
    method,
    cache: 'no-store',
    headers: unwatched(),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => undefined)
  if (!response) throw new Error('The web UI does not answer.')
  const body = response.status === 204 ? undefined : await response.json().catch(() => undefined)
  if (!response.ok) throw new Error(body?.error?.message ?? `The web UI answered ${response.status}.`)
  return body
}

/** @param {'good' | 'bad' | ''} tone @param {string} text */
function say(tone, text) {
  note.className = `services-note${tone && ` tone-${tone}`}`
  note.textContent = text
}

async function look() {
  try {
    draw(/** @type {{ services: Service[] }} */ (await ask('/explorer/services', 'GET')).services)
  } catch (error) {
    // Stale states must not look like current ones.
    drawn = ''
    rows.replaceChildren()
    summary.textContent = 'unknown'
    say('bad', /** @type {Error} */ (error).message)
  }
}

/** @param {Service[]} services */
function draw(services) {
  const text = JSON.stringify([services, [...busy]])
  if (text === drawn) return
  drawn = text
  const away = services.filter(({ state }) => state !== 'running').map(({ name }) => name)
  summary.textContent =
    away.length === 0
      ? `all ${services.length} running`
      : `${services.length - away.length} running, not running: ${away.join(', ')}`
  const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.key
  rows.replaceChildren(...services.map((service) => row(service, services)))
  if (focused?.startsWith('service '))
    /** @type {HTMLElement | null} */ (rows.querySelector(`[data-key="${CSS.escape(focused)}"]`))?.focus()
}

/** @param {Service} service @param {Service[]} all */
function row(service, all) {
  const { name, shows, state, needs, restarts, lastEnd, fixed } = service
  const missing = needs.filter((needed) => all.some((one) => one.name === needed && one.state !== 'running'))
  const remarks = [
    missing.length > 0 && state === 'running'
      ? `Calls ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not running.`
      : '',
    lastEnd && state !== 'running' ? lastEnd : '',
    restarts > 0 ? `Restarted ${restarts} ${restarts === 1 ? 'time' : 'times'}.` : '',
  ].filter(Boolean)
  return el(
    'tr',
    { 'data-service': name },
    el('th', { scope: 'row' }, el('code', {}, name)),
    el(
      'td',
      { 'data-label': 'State' },
      el('span', { class: `status tone-${TONES[state]}` }, busy.get(name) ?? state),
    ),
    el('td', { 'data-label': 'What it does' }, shows, ...remarks.map((remark) => el('small', {}, remark))),
    el('td', { 'data-label': 'Action' }, fixed === undefined ? action(service, all) : el('small', {}, fixed)),
  )
}

/** @param {Service} service @param {Service[]} all */
function action(service, all) {
  const { name, state } = service
  const stops = ['running', 'not answering', 'starting', 'restarting'].includes(state)
  const button = el(
    'button',
    {
      type: 'button',
      class: 'small',
      'data-key': `service ${name}`,
      'aria-label': `${stops ? 'Stop' : 'Start'} ${name}`,
    },
    stops ? 'Stop' : 'Start',
  )
  if (busy.has(name)) button.setAttribute('aria-busy', 'true')
  button.addEventListener('click', () => void (stops ? stop(service, all) : change(name, 'start')))
  return button
}

/** @param {Service} service @param {Service[]} all */
async function stop({ name }, all) {
  const callers = all.filter(({ needs }) => needs.includes(name)).map((one) => one.name)
  const consequence = [
    'Its process ends; requests to it fail until you start it again here, or with npx hallpass service start.',
    callers.length > 0 ? `It is called by ${callers.join(', ')}.` : '',
    CARRY_HOPS.includes(name) ? 'This page receives no hops while it is stopped.' : '',
  ]
  const isSure = await confirmAction({
    title: `Stop ${name}?`,
    consequence: consequence.filter(Boolean).join(' '),
    confirm: 'Stop',
  })
  if (isSure) await change(name, 'stop')
}

/** @param {string} name @param {'stop' | 'start'} verb */
async function change(name, verb) {
  if (busy.has(name)) return
  busy.set(name, verb === 'stop' ? 'stopping' : 'starting')
  say('', '')
  void look()
  try {
    await ask(`/explorer/services/${encodeURIComponent(name)}/${verb}`, 'POST')
    say('good', verb === 'stop' ? `${name} is stopped.` : `${name} is running.`)
  } catch (error) {
    say('bad', /** @type {Error} */ (error).message)
  }
  busy.delete(name)
  await look()
}

details.addEventListener('toggle', () => void look())
setInterval(() => {
  if (details.open && !document.hidden) void look()
}, AGAIN_MS)
void look()
