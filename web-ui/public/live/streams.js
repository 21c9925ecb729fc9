// @ts-check

import { el } from '../explorer-dom.js'
import { actionButton, age, countdown, liveView, name, pill, section, table } from './live-page.js'

/**
 * @typedef {{ id: string, path: string, protocol: string, issuer: string, subject: string | null, jti: string, openedAt: string, challengeAt: string | null, challenges: number, answers: number }} Stream
 * @typedef {Stream & { state: 'open' | 'challenged', endsAt: string | null }} Open
 * @typedef {Stream & { reason: string, endedAt: string }} Ended
 * @typedef {{ count: number, open: Open[], ended: Ended[] }} Streams
 */

/** Why a stream ends, in tones: as it should, because somebody said so, or because something is wrong. */
const REASONS = /** @type {Readonly<Record<string, string>>} */ ({
  token_expired: 'warn',
  token_revoked: 'bad',
  stream_too_old: 'warn',
  client_gone: 'info',
  shutting_down: 'info',
})

liveView({
  url: '/live/streams',
  draw: (/** @type {Streams} */ { count, open, ended }, act) => [
    section(
      count === 1 ? 'One stream is open' : `${count} streams are open`,
      el(
        'div',
        { class: 'actions' },
        actionButton('Open one for a few seconds', {
          key: 'open',
          primary: true,
          // It is open for seconds, in which the button can open another.
          run: async () => void act('/explorer/runs', { scenario: 7 }, opened),
        }),
        el('p', { class: 'meta' }, 'Its first challenge is answered, its second is not.'),
      ),
      table(
        'Open streams',
        ['Whose', 'Path', 'State', 'Token left', 'Challenged, answered', 'Open for', ''],
        open.map((stream) => [
          el(
            'span',
            { class: 'two' },
            name(stream.subject ?? 'nobody named'),
            el('small', {}, `jti ${stream.jti}`),
          ),
          el('span', { class: 'two' }, name(stream.path), el('small', {}, stream.protocol)),
          stream.state === 'open' ? pill('good', 'open') : pill('warn', 'challenged'),
          countdown(stream.endsAt, { from: stream.openedAt, done: 'ending' }),
          `${stream.challenges}, ${stream.answers}`,
          age(stream.openedAt),
          actionButton('Revoke', {
            key: `revoke ${stream.id}`,
            describe: `every token of ${stream.subject ?? stream.jti}`,
            ask: () => ({
              title: `Revoke every token of ${stream.subject ?? stream.jti}?`,
              consequence:
                'Its open streams close immediately with the reason token_revoked, and the gateway rejects its tokens ' +
                'until they expire. A revocation cannot be undone.',
              confirm: 'Revoke',
            }),
            // A stream may have a newer token than the one shown; its subject is the same.
            run: () =>
              act(
                '/live/streams/revoke',
                stream.subject === null ? { jti: stream.jti } : { sub: stream.subject },
                `Every token of ${stream.subject ?? stream.jti} was revoked.`,
              ),
          }),
        ]),
        'No stream is open. The explorer opens one while it is looked at.',
      ),
    ),
    section(
      'The last that ended',
      table(
        'Ended streams',
        ['Whose', 'Path', 'Why', 'Challenged, answered', 'Lasted', 'Ago'],
        ended.map((stream) => [
          el(
            'span',
            { class: 'two' },
            name(stream.subject ?? 'nobody named'),
            el('small', {}, `jti ${stream.jti}`),
          ),
          name(stream.path),
          pill(REASONS[stream.reason] ?? 'bad', stream.reason),
          `${stream.challenges}, ${stream.answers}`,
          `${((Date.parse(stream.endedAt) - Date.parse(stream.openedAt)) / 1000).toFixed(1)} s`,
          age(stream.endedAt),
        ]),
        'None since the gateway started.',
      ),
    ),
  ],
})

/**
 * A run that the gateway has answered with a refusal is an answer all the same.
 * @param {{ status: number, answer: any }} run
 * @returns {undefined}
 */
function opened({ status, answer }) {
  if (status !== 200) throw new Error(answer?.error?.message ?? `The gateway answered ${status}.`)
}
