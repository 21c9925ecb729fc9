// @ts-check

import { el } from '../explorer-dom.js'
import { actionButton, countdown, jsonDetails, liveView, name, pill, section, table } from './live-page.js'

/**
 * @typedef {{ id: string, spiffeId: string, selectors: string[], revoked?: boolean }} Entry
 * @typedef {{ entryId: string, authorityId: string, notBefore: string, expiresAt: string, renewsAt: string }} Svid
 * @typedef {{ id: string, state: 'prepared' | 'active' | 'old', expiresAt: string, activatesAt?: string, retiresAt?: string }} Authority
 * @typedef {{ entries: Entry[], svids: Svid[], issued: number, authorities: { sequence: number, x509: Authority[], jwt: Authority[] }, bundle: { keys: { use: string, kid?: string, kty: string }[], spiffe_sequence: number } }} Identities
 */

const TONES = { prepared: 'info', active: 'good', old: 'warn' }

liveView({
  url: '/live/identities',
  draw: (/** @type {Identities} */ { entries, svids, issued, authorities, bundle }, act) => [
    section(
      'Workloads',
      el(
        'p',
        {},
        `The agent has issued ${issued} X.509-SVIDs since it started. Each is renewed at half of its lifetime, without a restart.`,
      ),
      table(
        'Workloads and their SVIDs',
        ['SPIFFE ID', 'Selectors', 'Expires in', 'Renewed in', 'Signed by', ''],
        entries.map((entry) => {
          const svid = svids.find(({ entryId }) => entryId === entry.id)
          return [
            name(entry.spiffeId),
            name(entry.selectors.join(', ')),
            entry.revoked
              ? pill('bad', 'revoked')
              : svid
                ? countdown(svid.expiresAt, { from: svid.notBefore, done: 'expired' })
                : el('span', { class: 'meta' }, 'not issued yet'),
            svid && !entry.revoked ? countdown(svid.renewsAt) : '–',
            svid ? el('code', { title: svid.authorityId }, `${svid.authorityId.slice(0, 8)}…`) : '–',
            entry.revoked
              ? actionButton('Restore', {
                  key: `entry ${entry.id}`,
                  describe: entry.id,
                  run: () => act('/live/identities/restore', { id: entry.id }, `${entry.id} was restored.`),
                })
              : actionButton('Revoke', {
                  key: `entry ${entry.id}`,
                  describe: entry.id,
                  ask: () => ({
                    title: `Revoke ${entry.id}?`,
                    consequence:
                      `The agent stops issuing SVIDs for ${entry.spiffeId}, and calls as this workload fail. ` +
                      'Restore undoes this.',
                    confirm: 'Revoke',
                  }),
                  run: () => act('/live/identities/revoke', { id: entry.id }, `${entry.id} was revoked.`),
                }),
          ]
        }),
        'No workload is registered.',
      ),
    ),
    .../** @type {const} */ (['x509', 'jwt']).map((kind) =>
      section(
        kind === 'x509' ? 'X.509 authorities' : 'JWT authorities',
        table(
          `Authorities for ${kind}`,
          ['Authority', 'State', 'Next', 'Expires in'],
          authorities[kind].map(({ id, state, activatesAt, retiresAt, expiresAt }) => [
            name(id),
            pill(TONES[state], state),
            activatesAt
              ? el('span', {}, 'signs in ', countdown(activatesAt))
              : retiresAt
                ? el('span', {}, 'removed in ', countdown(retiresAt))
                : '–',
            countdown(expiresAt),
          ]),
          'No authority yet.',
        ),
        el(
          'div',
          { class: 'actions' },
          actionButton('Rotate', {
            key: `rotate ${kind}`,
            describe: `the ${kind} authority`,
            ask: () => ({
              title: `Rotate the ${kind} authority?`,
              consequence:
                'A new authority is prepared, published in the trust bundle and then signs. SVIDs signed by the old one ' +
                'stay valid until they expire. A rotation cannot be undone.',
              confirm: 'Rotate',
            }),
            run: () => act('/live/identities/rotate', { kind }, `The ${kind} authority is rotating.`),
          }),
          el(
            'p',
            { class: 'meta' },
            'A new authority is published first and signs when all workloads have it.',
          ),
        ),
      ),
    ),
    section(
      'Trust bundle',
      el(
        'p',
        {},
        `Keys that verify SVIDs: ${bundle.keys.length}. Sequence number: ${bundle.spiffe_sequence}.`,
      ),
      jsonDetails('The bundle as JSON', bundle),
    ),
  ],
})
