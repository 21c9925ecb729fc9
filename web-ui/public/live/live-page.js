// @ts-check

import { confirmAction } from '../confirm-action.js'
import { el } from '../explorer-dom.js'
import { Heartbeat } from '../heartbeat.js'
import { unwatched } from '../unwatched.js'
import { patchChildren } from './patch-children.js'

/**
 * @typedef {(
 *   path: string,
 *   body: Record<string, unknown>,
 *   done?: string | ((answer: any) => string | undefined),
 * ) => Promise<boolean>} Act posts, shows `done` or the error, and refreshes the view; `done` may throw an error to show.
 */

/** Time between two requests of a view. */
const AGAIN_MS = 1_000
/** The longest regular time between two answers: the web UI waits up to 1.5 s for a service that does not answer. */
const BEAT_MS = 1_500
/** How often countdowns and the age of the data are updated. */
const TICK_MS = 250
/** The web UI waits 1.5 s for each service behind it (web-ui/src/live/ask-peer.ts), and calls at most two in sequence. */
const TIMEOUT_MS = 4_000
/** Actions take longer: scenario 7 is a stream of five seconds. */
const ACTION_TIMEOUT_MS = 30_000

/**
 * Fetches JSON from the web UI.
 * @param {string} url
 * @param {number} timeoutMs
 * @param {RequestInit} [options]
 * @throws {Error} with a message for the user, whatever went wrong.
 */
export async function fetchJson(url, timeoutMs, options = {}) {
  const response = await fetch(url, {
    cache: 'no-store',
    ...options,
    headers: { ...options.headers, ...unwatched() },
    signal: AbortSignal.timeout(timeoutMs),
  }).catch((error) => {
    throw new Error(
      error.name === 'TimeoutError'
        ? `The web UI did not answer within ${timeoutMs / 1000} s.`
        : 'The web UI does not answer.',
    )
  })
  if (response.status === 204) return undefined
  const body = await response.json().catch(() => undefined)
  if (!response.ok) throw new Error(body?.error?.message ?? `The web UI answered ${response.status}.`)
  return body
}

/**
 * Posts JSON to the web UI.
 * @param {string} path
 * @param {Record<string, unknown>} body
 */
export const postJson = (path, body) =>
  fetchJson(path, ACTION_TIMEOUT_MS, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

/**
 * Keeps a view up to date: requests its data each second and redraws it after a change. The view is `Live` only while
 * answers arrive; otherwise the data is marked as old, with its age, and the view keeps trying.
 * @template T
 * @param {{ url: string, draw: (data: T, act: Act) => (Node | undefined)[] }} view
 */
export function liveView({ url, draw }) {
  const root = /** @type {HTMLElement} */ (document.getElementById('live'))
  const heartbeat = new Heartbeat(BEAT_MS)
  const notes = makeNotes(root)
  let drawn = ''
  /** Why the last request failed. @type {string | undefined} */
  let problem
  /** @type {(() => void) | undefined} */
  let refreshNow

  /** @type {Act} */
  const act = async (path, body, done) => {
    try {
      const answer = await postJson(path, body)
      const text = typeof done === 'function' ? done(answer) : done
      notes.act(text ? 'good' : undefined, text)
      return true
    } catch (error) {
      notes.act('bad', /** @type {Error} */ (error).message)
      return false
    } finally {
      refreshNow?.()
    }
  }

  async function refresh() {
    const data = await fetchJson(url, TIMEOUT_MS)
    const { now, ...rest } = data
    if (now !== undefined) clockOffset = new Date(now).getTime() - Date.now()
    heartbeat.beat()
    problem = undefined
    const text = JSON.stringify(rest)
    if (text !== drawn) {
      drawn = text
      redraw(root, draw(data, act))
    }
    judge()
  }

  /** Shows whether the data is current. A missing answer counts like a failed one. */
  function judge() {
    const isStale = heartbeat.isLate || problem !== undefined
    root.toggleAttribute('data-stale', isStale && drawn !== '')
    if (!isStale) {
      say('good', 'Live')
      return notes.stale(undefined)
    }
    say('bad', `Reconnecting: ${problem ?? 'no answer yet.'}`)
    notes.stale(drawn === '' ? undefined : `This data is ${span(heartbeat.silentMs)} old.`)
  }

  async function keepRefreshing() {
    for (;;) {
      await refresh().catch((error) => {
        problem = error.message
      })
      await new Promise((resolve) => {
        refreshNow = () => resolve(undefined)
        setTimeout(resolve, AGAIN_MS)
      })
    }
  }
  setInterval(() => {
    tick()
    if (drawn !== '' || problem !== undefined || heartbeat.isLate) judge()
  }, TICK_MS)
  void keepRefreshing()
}

/**
 * Makes the lines above a view: its age, which screen readers do not announce, and the result of the last action.
 * @param {HTMLElement} root
 */
function makeNotes(root) {
  const age = el('p', { class: 'notice tone-warn', id: 'stale', hidden: '' })
  const acted = el('p', { class: 'notice', id: 'acted', hidden: '' })
  const heard = el('p', { class: 'unseen', role: 'status' })
  root.before(el('div', { class: 'live-notes' }, age, acted), heard)
  return {
    /** @param {string | undefined} text */
    stale(text) {
      age.hidden = text === undefined
      age.textContent = text ?? ''
    },
    /**
     * @param {'good' | 'bad' | undefined} tone
     * @param {string} [text]
     */
    act(tone, text) {
      acted.hidden = tone === undefined
      acted.className = `notice tone-${tone}`
      acted.textContent = text ?? ''
      heard.textContent = text ?? ''
    },
  }
}

/**
 * @param {'good' | 'bad' | 'info'} tone
 * @param {string} text
 */
export function say(tone, text) {
  const state = /** @type {HTMLElement} */ (document.getElementById('state'))
  // Setting an unchanged text would make screen readers announce it again.
  if (state.textContent === text) return
  state.className = `status live-state tone-${tone}`
  state.textContent = text
}

/**
 * Changes the content to the new one. What stays the same keeps its nodes, so a pressed key, the focus, a selection, a scroll
 * position or an open detail survives; a focused button whose row moves gets its focus back.
 * @param {HTMLElement} root
 * @param {(Node | undefined)[]} content
 */
export function redraw(root, content) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement)
  patchChildren(
    root,
    content.filter((node) => node !== undefined),
  )
  tick()
  const key = before?.dataset.key
  if (key !== undefined && document.activeElement !== before)
    /** @type {HTMLElement | null} */ (root.querySelector(`[data-key="${CSS.escape(key)}"]`))?.focus()
}

/** Milliseconds by which the server's clock is ahead of this one. */
let clockOffset = 0

function tick() {
  const now = Date.now() + clockOffset
  for (const node of document.querySelectorAll('[data-until]')) {
    const { until, from, done = 'now' } = /** @type {HTMLElement} */ (node).dataset
    const left = Number(until) - now
    setText(node, left > 0 ? span(left) : done)
    const bar = /** @type {HTMLElement | null} */ (node.parentElement?.querySelector('.life i'))
    if (bar && from !== undefined) {
      const share = Math.max(0, Math.min(1, left / (Number(until) - Number(from))))
      bar.style.inlineSize = `${share * 100}%`
    }
  }
  for (const node of document.querySelectorAll('[data-since]'))
    setText(node, span(now - Number(/** @type {HTMLElement} */ (node).dataset.since)))
}

/**
 * Sets a text only if it differs, because a new text node would end a selection.
 * @param {Element} node
 * @param {string} text
 */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/** @param {number} milliseconds */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/**
 * Makes a countdown to a time; with `from`, also a bar that empties.
 * @param {number | string | null | undefined} until
 * @param {{ from?: number | string, done?: string }} options
 */
export function countdown(until, { from, done } = {}) {
  if (until === null || until === undefined) return el('span', {}, 'never')
  const time = el('span', {
    class: 'countdown',
    'data-until': String(new Date(until).getTime()),
    ...(from === undefined ? {} : { 'data-from': String(new Date(from).getTime()) }),
    ...(done === undefined ? {} : { 'data-done': done }),
  })
  return from === undefined
    ? time
    : el('span', { class: 'life-row' }, el('span', { class: 'life', 'aria-hidden': 'true' }, el('i')), time)
}

/** @param {number | string} since */
export const age = (since) =>
  el('span', { class: 'countdown', 'data-since': String(new Date(since).getTime()) })

/**
 * @param {string} tone
 * @param {string} text
 */
export const pill = (tone, text) => el('span', { class: `status tone-${tone}` }, text)

/**
 * Makes a button that runs an action, one run at a time. With `ask`, the user confirms it first.
 * @param {string} label
 * @param {{
 *   key: string,
 *   run: () => Promise<unknown>,
 *   describe?: string,
 *   primary?: boolean,
 *   ask?: () => import('../confirm-action.js').Question,
 * }} options
 */
export function actionButton(label, { key, run, describe, primary = false, ask }) {
  const button = /** @type {HTMLButtonElement} */ (
    el(
      'button',
      {
        type: 'button',
        class: primary ? 'primary' : 'small',
        'data-key': key,
        // Begins with the visible label, for users of speech input (WCAG 2.5.3).
        ...(describe === undefined ? {} : { 'aria-label': `${label} ${describe}` }),
      },
      label,
    )
  )
  // A property, so that a redraw can give the button that stays the action of the new one.
  button.onclick = async () => {
    if (busy.has(key)) return
    busy.add(key)
    try {
      if (ask && !(await confirmAction(ask()))) return
      showBusy(key, true)
      await run()
    } finally {
      busy.delete(key)
      showBusy(key, false)
    }
  }
  if (busy.has(key)) button.setAttribute('aria-busy', 'true')
  return button
}

/** The keys of the running actions; their buttons may be redrawn meanwhile. */
const busy = new Set()

/**
 * @param {string} key
 * @param {boolean} isBusy
 */
function showBusy(key, isBusy) {
  const button = document.querySelector(`button[data-key="${CSS.escape(key)}"]`)
  if (isBusy) button?.setAttribute('aria-busy', 'true')
  else button?.removeAttribute('aria-busy')
}

/**
 * Makes a table that scrolls in a narrow window; on a phone each row is a list of its cells.
 * @param {string} caption
 * @param {string[]} columns
 * @param {(Node | string)[][]} rows
 * @param {string} empty the text to show without rows.
 */
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return el('p', { class: 'empty' }, empty)
  return el(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    el(
      'table',
      { class: 'table' },
      el('caption', { class: 'unseen' }, caption),
      el('thead', {}, el('tr', {}, ...columns.map((name) => el('th', { scope: 'col' }, name)))),
      el(
        'tbody',
        {},
        ...rows.map(([first = '', ...rest]) =>
          el(
            'tr',
            {},
            el('th', { scope: 'row' }, first),
            ...rest.map((cell, index) => el('td', { 'data-label': columns[index + 1] ?? '' }, cell)),
          ),
        ),
      ),
    ),
  )
}

/**
 * @param {string} title
 * @param {...(Node | string | undefined)} content
 */
export const section = (title, ...content) =>
  el('section', { class: 'section' }, el('h2', {}, title), ...content)

/**
 * Names what an element stands for, so that a redraw keeps it although its heading, which names a section otherwise, changes.
 * @template {HTMLElement} E
 * @param {string} key
 * @param {E} element
 * @returns {E}
 */
export function keyed(key, element) {
  element.dataset.key = key
  return element
}

/**
 * Makes a collapsed view of JSON.
 * @param {string} title
 * @param {unknown} value
 */
export const jsonDetails = (title, value) =>
  el(
    'details',
    { class: 'json', 'data-key': title },
    el('summary', {}, title),
    el('pre', { class: 'code', tabindex: '0' }, JSON.stringify(value, null, 2)),
  )

/**
 * Makes a name whose end may be cut off where space is short.
 * @param {string} text
 */
export const name = (text) => el('code', { class: 'name', title: text }, text)
