// @ts-check

import { el } from '../explorer-dom.js'
import { actionButton, age, countdown, keyed, liveView, name, pill, section, table } from './live-page.js'

/**
 * @typedef {{ id: string, path: string, protocol: string, issuer: string, subject: string | null, jti: string, openedAt: string, challengeAt: string | null, challenges: number, answers: number }} Stream
 * @typedef {Stream & { state: 'open' | 'challenged', endsAt: string | null }} Open
 * @typedef {Stream & { reason: string, endedAt: string }} Ended
 * @typedef {{ count: number, open: Open[], ended: Ended[] }} Streams
 */

/** The color of each end reason; any other reason is a failure. */
const REASONS = /** @type {Readonly<Record<string, string>>} */ ({
  token_expired: 'warn',
  token_revoked: 'bad',
  key_withdrawn: 'bad',
  stream_too_old: 'warn',
  client_gone: 'info',
  shutting_down: 'info',
})

liveView({
  url: '/live/streams',
  draw: (/** @type {Streams} */ { count, open, ended }, act) => [
    keyed(
      'open-streams',
      section(
        count === 1 ? 'One stream is open' : `${count} streams are open`,
        el(
          'div',
          { class: 'actions' },
          actionButton('Open a stream for a few seconds', {
            key: 'open',
            primary: true,
            // Not awaited: the stream is open for seconds, and the button can open another meanwhile.
            run: async () => void act('/explorer/runs', { scenario: 7 }, opened),
          }),
          el('p', { class: 'meta' }, 'The first challenge is answered, the second is not.'),
        ),
        table(
          'Open streams',
          ['Subject', 'Path', 'State', 'Token expires in', 'Challenged, answered', 'Open for', ''],
          open.map((stream) => [
            el(
              'span',
              { class: 'two' },
              name(stream.subject ?? 'no subject'),
              el('small', {}, `jti ${stream.jti}`),
            ),
            el('span', { class: 'two' }, name(stream.path), el('small', {}, stream.protocol)),
            stream.state === 'open' ? pill('good', 'open') : pill('warn', 'challenged'),
            countdown(stream.endsAt, { from: stream.openedAt, done: 'closing' }),
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
              // By subject: the stream may have a newer token than the one shown.
              run: () =>
                act(
                  '/live/streams/revoke',
                  stream.subject === null ? { jti: stream.jti } : { sub: stream.subject },
                  `Every token of ${stream.subject ?? stream.jti} was revoked.`,
                ),
            }),
          ]),
          'No stream is open. The explorer opens one while its page is open.',
        ),
      ),
    ),
    section(
      'Recently ended',
      table(
        'Ended streams',
        ['Subject', 'Path', 'Reason', 'Challenged, answered', 'Open for', 'Ended (ago)'],
        ended.map((stream) => [
          el(
            'span',
            { class: 'two' },
            name(stream.subject ?? 'no subject'),
            el('small', {}, `jti ${stream.jti}`),
          ),
          name(stream.path),
          pill(REASONS[stream.reason] ?? 'bad', stream.reason),
          `${stream.challenges}, ${stream.answers}`,
          `${((Date.parse(stream.endedAt) - Date.parse(stream.openedAt)) / 1000).toFixed(1)} s`,
          age(stream.endedAt),
        ]),
        'No stream has ended since the gateway started.',
      ),
    ),
  ],
})

/**
 * Reports a stream that the gateway rejected as a failed action, although the run itself succeeded.
 * @param {{ status: number, answer: any }} run
 * @returns {undefined}
 */
function opened({ status, answer }) {
  if (status !== 200) throw new Error(answer?.error?.message ?? `The gateway answered ${status}.`)
}
