// @ts-check

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
  ['hits', 'Hits', 'found a token'],
  ['misses', 'Misses', 'waited for one'],
  ['issuerCalls', 'Issuer calls', 'tokens asked for'],
  ['blocked', 'Blocked', 'by an operator’s word'],
])
/** In one go: enough to see both nodes at work. */
const VISITS = 10

const count = new Intl.NumberFormat('en')
let user = 'user1'

liveView({
  url: '/live/token-cache',
  draw: (/** @type {Cache} */ { nodes, entries }, act) => [
    el('div', { class: 'cards' }, ...nodes.map(nodeCard)),
    section('Try it', userForm(act)),
    section(
      'What they share',
      table(
        'Entries of the shared store',
        ['Whose', 'What', ''],
        entries.map(({ key, value }) => [
          name(key),
          value === '0' ? pill('bad', 'blocked') : el('span', { class: 'meta mono' }, value),
          actionButton(value === '0' ? 'Lift the block' : 'Forget', {
            key: `release ${key}`,
            describe: key,
            run: () => act('/live/token-cache/release', { key }),
          }),
        ]),
        'Nothing yet: the first request of a user brings the first token.',
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
      el('header', { class: 'card-head' }, el('h2', {}, url), pill('bad', 'away')),
      el('p', { class: 'meta' }, `${failure} The other node goes on.`),
    )
  const me = status.peers.find((peer) => peer.name === status.name)
  return el(
    'article',
    { class: 'card', 'data-node': status.name },
    el(
      'header',
      { class: 'card-head' },
      el('h2', {}, status.name),
      pill('good', status.store.available ? 'ready' : 'without its store'),
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
      `${count.format(status.store.entries)} ${status.store.entries === 1 ? 'entry' : 'entries'} in ${status.store.kind}, ${me?.copies ?? 0} copied here; a token is kept ${status.rules.cacheSeconds} s. Up for `,
      ...(me ? [age(me.startedAt)] : ['a moment']),
      '. ',
      el('a', { href: `${url}/dashboard.html` }, 'Its own page'),
    ),
  )
}

/** @param {import('./live-page.js').Act} act */
function userForm(act) {
  const input = /** @type {HTMLInputElement} */ (
    el('input', { id: 'user', class: 'mono', autocomplete: 'off', spellcheck: 'false', 'data-key': 'user' })
  )
  input.value = user
  input.addEventListener('input', () => {
    user = input.value
  })
  return el(
    'div',
    { class: 'card form' },
    el('label', { class: 'field' }, 'User', input),
    el(
      'div',
      { class: 'actions' },
      actionButton(`Send ${VISITS} requests`, {
        key: 'visit',
        primary: true,
        run: async () => {
          for (let sent = 0; sent < VISITS; sent += 1) await act('/live/token-cache/visit', { user })
        },
      }),
      actionButton('Block', {
        key: 'block',
        describe: 'the user',
        ask: () => ({
          title: `Block ${user}?`,
          consequence:
            'Both proxies answer its requests with 403 within a second, whatever token is cached. Lift removes the block.',
          confirm: 'Block',
        }),
        run: () => act('/live/token-cache/block', { key: user }),
      }),
      actionButton('Lift', {
        key: 'lift',
        describe: 'the block of the user',
        run: () => act('/live/token-cache/release', { key: user }),
      }),
    ),
  )
}
