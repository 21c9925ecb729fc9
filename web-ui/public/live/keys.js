// @ts-check

import { el } from '../explorer-dom.js'
import {
  actionButton,
  age,
  countdown,
  jsonDetails,
  liveView,
  name,
  pill,
  section,
  table,
} from './live-page.js'

/**
 * @typedef {{ kid: string, alg: string, state: 'published' | 'signing' | 'retired' | 'withdrawn', sinceMs: number, untilMs?: number }} Key
 * When the next key is published, unless it already is, and when it signs.
 * @typedef {{ publishAtMs?: number, rotateAtMs: number }} Plan
 * @typedef {{ holder: string, keyId: string, keys: Key[], plan?: Plan }} Holder
 * @typedef {{ holders: Holder[], away: { holder: string, failure: string }[], jwks: { url: string, body: { keys: { kid: string }[] } } }} Keys
 */

const TONES = { published: 'info', signing: 'good', retired: 'warn', withdrawn: 'bad' }
const MEANINGS = {
  published: 'signs next',
  signing: 'signs',
  retired: 'still verifies',
  withdrawn: 'refused everywhere',
}

liveView({
  url: '/live/keys',
  draw: (/** @type {Keys} */ { holders, away, jwks }, act) => [
    el(
      'div',
      { class: 'cards' },
      ...holders.map(({ holder, keyId, keys, plan }) =>
        el(
          'article',
          { class: 'card', 'data-key-id': keyId },
          el(
            'header',
            { class: 'card-head' },
            el('h2', {}, keyId),
            el('p', { class: 'meta' }, holder === keyId ? 'held by the service itself' : `held by ${holder}`),
          ),
          el(
            'ul',
            { class: 'lives' },
            ...keys.map(({ kid, alg, state, sinceMs, untilMs }) =>
              el(
                'li',
                { 'data-state': state },
                pill(TONES[state], state),
                name(kid),
                el(
                  'span',
                  { class: 'meta' },
                  `${alg}, ${MEANINGS[state]}; for `,
                  age(sinceMs),
                  ...(untilMs === undefined ? [] : [', removed in ', countdown(untilMs)]),
                ),
              ),
            ),
          ),
          ...(plan ? [el('p', { class: 'meta plan' }, ...planned(plan))] : []),
          el(
            'div',
            { class: 'actions' },
            actionButton('Rotate', {
              key: `rotate ${keyId}`,
              describe: keyId,
              ask: () => ({
                title: `Rotate ${keyId}?`,
                consequence:
                  'The published key starts to sign, and a new key is published. Unexpired tokens signed with the old ' +
                  'key stay valid. A rotation cannot be undone.',
                confirm: 'Rotate',
              }),
              run: () => act('/live/keys/rotate', { holder, keyId }, `${keyId} was rotated.`),
            }),
          ),
        ),
      ),
    ),
    ...away.map(({ failure }) =>
      el('p', { class: 'notice tone-warn' }, `${failure} Its keys appear when it recovers.`),
    ),
    section(
      'What verifiers see',
      el(
        'p',
        {},
        'The JWKS of jwt-factory: the public half of each of its keys above, in any state. ',
        name(jwks.url),
      ),
      table(
        'The key set',
        ['kid', 'Key type', 'Algorithm', 'Use'],
        jwks.body.keys.map((key) => {
          const { kid, kty, alg, use } = /** @type {Record<string, string>} */ (key)
          return [name(`${kid}`), `${kty}`, `${alg}`, use ?? 'any']
        }),
        'No key is published.',
      ),
      jsonDetails('The key set as JSON', jwks.body),
    ),
  ],
})

/**
 * Describes the next scheduled rotation.
 * @param {Plan} plan
 */
function planned({ publishAtMs, rotateAtMs }) {
  const rotation = ['it signs in ', countdown(rotateAtMs, { done: 'a moment' }), '.']
  if (publishAtMs === undefined) return ['Scheduled: the next key is published; ', ...rotation]
  return [
    'Scheduled: the next key is published in ',
    countdown(publishAtMs, { done: 'a moment' }),
    '; ',
    ...rotation,
  ]
}
