// @ts-check

import { confirmAction } from '../confirm-action.js'
import { el } from '../explorer-dom.js'
import { actionButton, age, liveView, name, pill, section, table } from './live-page.js'

/**
 * @typedef {Record<'hits' | 'misses' | 'issuerCalls' | 'stale' | 'blocked' | 'refused', number>} Figures
 * @typedef {{ name: string, startedAt: number, copies: number, figures: Figures }} Peer
 * @typedef {{ name: string, store: { kind: string, available: boolean, entries: number }, rules: { identity: string[], cacheSeconds: number }, peers: Peer[] }} Status
 * @typedef {{ url: string, status?: Omit<Status, 'now'>, failure?: string }} Node
 * @typedef {{ nodes: Node[], entries: { key: string, value: string }[] }} Cache
 */

const FIGURES = /** @type {const} */ ([
  ['hits', 'Hits', 'used a cached token'],
  ['misses', 'Misses', 'waited for a new token'],
  ['issuerCalls', 'Issuer calls', 'tokens requested'],
  ['blocked', 'Blocked', 'requests of blocked users'],
])
/** Requests per click: enough to use both nodes. */
const VISITS = 10

const count = new Intl.NumberFormat('en')

liveView({
  url: '/live/token-cache',
  draw: (/** @type {Cache} */ { nodes, entries }, act) => [
    el('div', { class: 'cards' }, ...nodes.map(nodeCard)),
    userForm(act),
    section(
      'Shared entries',
      table(
        'Entries of the shared store',
        ['User or key', 'Token', ''],
        entries.map(({ key, value }) => [
          name(key),
          value === '0' ? pill('bad', 'blocked') : el('span', { class: 'meta mono' }, value),
          actionButton(value === '0' ? 'Unblock' : 'Forget', {
            key: `release ${key}`,
            describe: key,
            run: () =>
              act(
                '/live/token-cache/release',
                { key },
                value === '0' ? `${key} is no longer blocked.` : `The token of ${key} was forgotten.`,
              ),
          }),
        ]),
        'No entries yet. The first request of a user adds a token.',
      ),
    ),
  ],
})

/** @param {Node} node */
function nodeCard({ url, status, failure }) {
  if (!status)
    return el(
      'article',
      { class: 'card' },
      el('header', { class: 'card-head' }, el('h2', {}, url), pill('bad', 'unavailable')),
      el('p', { class: 'meta' }, `${failure} The other node continues.`),
    )
  const me = status.peers.find((peer) => peer.name === status.name)
  return el(
    'article',
    { class: 'card', 'data-node': status.name },
    el(
      'header',
      { class: 'card-head' },
      el('h2', {}, status.name),
      pill('good', status.store.available ? 'ready' : 'store unavailable'),
    ),
    el(
      'dl',
      { class: 'figures' },
      ...FIGURES.map(([figure, title, meaning]) =>
        el(
          'div',
          {},
          el('dt', {}, title),
          el('dd', { 'data-figure': figure }, me ? count.format(me.figures[figure]) : '–'),
          el('dd', { class: 'meta' }, meaning),
        ),
      ),
    ),
    el(
      'p',
      { class: 'meta' },
      `${count.format(status.store.entries)} ${status.store.entries === 1 ? 'entry' : 'entries'} in ${status.store.kind}, ${me?.copies ?? 0} in memory. Tokens are cached for ${status.rules.cacheSeconds} s. Up for `,
      ...(me ? [age(me.startedAt)] : ['a moment']),
      '. ',
      el('a', { href: `${url}/dashboard.html` }, 'Dashboard'),
    ),
  )
}

/** Valid user names, as in web-ui/src/live/live-token-cache.ts. */
const USER = /^[\x21-\x7e]{1,128}$/

/** @type {HTMLElement | undefined} */
let form

/**
 * Returns the form, which is made once: the typed text and the caret stay while the view around it is redrawn.
 * @param {import('./live-page.js').Act} act
 */
function userForm(act) {
  form ??= section('Try it', makeUserForm(act))
  return form
}

/** @param {import('./live-page.js').Act} act */
function makeUserForm(act) {
  const input = /** @type {HTMLInputElement} */ (
    el('input', {
      id: 'user',
      class: 'mono',
      autocomplete: 'off',
      spellcheck: 'false',
      required: '',
      maxlength: '128',
      'aria-describedby': 'user-error',
      'data-key': 'user',
    })
  )
  const error = el('p', { class: 'field-error', id: 'user-error', role: 'alert' })
  input.value = 'user1'
  /** @param {string} text */
  const complain = (text) => {
    error.textContent = text
    input.setAttribute('aria-invalid', String(text !== ''))
  }
  input.addEventListener('input', () => complain(''))
  /**
   * @param {(user: string) => Promise<unknown>} run
   * @returns {() => Promise<void>} which shows an error and does nothing else if the name is invalid.
   */
  const withUser = (run) => async () => {
    const user = input.value.trim()
    if (USER.test(user)) return void (await run(user))
    complain(user === '' ? 'Enter a user.' : 'A user has 1 to 128 visible ASCII characters and no spaces.')
    input.focus()
  }
  return el(
    'div',
    { class: 'card form' },
    el('label', { class: 'field' }, 'User', input),
    error,
    el(
      'div',
      { class: 'actions' },
      actionButton(`Send ${VISITS} requests`, {
        key: 'visit',
        primary: true,
        run: withUser((user) => visit(user, act)),
      }),
      actionButton('Block', {
        key: 'block',
        describe: 'the user',
        run: withUser(async (user) => {
          const sure = await confirmAction({
            title: `Block ${user}?`,
            consequence:
              'Within a second, both proxies answer its requests with 403, even if a token is cached. Unblock removes the block.',
            confirm: 'Block',
          })
          if (sure) await act('/live/token-cache/block', { user }, `${user} is blocked at every proxy.`)
        }),
      }),
      actionButton('Unblock', {
        key: 'unblock',
        describe: 'the user',
        run: withUser((user) =>
          act('/live/token-cache/unblock', { user }, `${user} is unblocked at every proxy.`),
        ),
      }),
    ),
  )
}

/**
 * Sends requests as a user, one after another, until one fails.
 * @param {string} user
 * @param {import('./live-page.js').Act} act
 */
async function visit(user, act) {
  /** @type {Map<number, number>} */
  const counts = new Map()
  for (let sent = 1; sent <= VISITS; sent += 1) {
    const isSent = await act('/live/token-cache/visit', { user }, ({ status }) => {
      counts.set(status, (counts.get(status) ?? 0) + 1)
      const answers = [...counts].map(([status, times]) => `${times} × ${status}`).join(', ')
      return sent < VISITS ? undefined : `${VISITS} requests as ${user} were answered: ${answers}.`
    })
    if (!isSent) return
  }
}
