import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../sessions/index.ts'
import { type Site, shell } from './shell.ts'

export interface LivePage {
  readonly path: string
  /** In the navigation. */
  readonly label: string
  readonly heading: string
  readonly lede: string
}

/** The live views. The script with the name of the view draws it from `/live/…`. */
export const LIVE_PAGES: readonly LivePage[] = [
  {
    path: '/numbers',
    label: 'Numbers',
    heading: 'Compare scenarios 1 to 4',
    lede:
      'The same call in each scenario: its latency on this machine, the number of calls to the issuer, where the keys are, ' +
      'and what an attacker can do with a token or key stolen from service B.',
  },
  {
    path: '/keys',
    label: 'Keys',
    heading: 'Signing keys and their states',
    lede:
      'A key is published before it signs, and stays published until the last token that it signed has expired. So ' +
      'rotation never rejects a valid token. To try it, rotate a key and run a scenario.',
  },
  {
    path: '/streams',
    label: 'Streams',
    heading: 'Streams that close when their token expires',
    lede:
      'Each open stream of the gateway, with the time until its token expires. Before that, the gateway requests a new ' +
      'token. If the client sends one, the stream continues; if not, it ends with a reason.',
  },
  {
    path: '/token-cache',
    label: 'Cache',
    heading: 'One cache, two proxies',
    lede:
      'Both nodes of the token cache. The issuer is called once for a user, however many requests arrive at either node. ' +
      'A block is effective at both nodes within a second.',
  },
  {
    path: '/identities',
    label: 'Identities',
    heading: 'SPIFFE identities',
    lede:
      'The SPIFFE identities that the agent issues: short-lived certificates, renewed at half of their lifetime, and the ' +
      'authorities that sign them.',
  },
]

export function livePage(site: Site, visitor: Visitor, { path, label, heading, lede }: LivePage): Markup {
  return shell(site, {
    title: label,
    current: path,
    visitor,
    styles: ['explorer.css'],
    scripts: [`live${path}.js`],
    content: html`
      <section class="intro">
        <h1>${heading}</h1>
        <p class="lede">${lede}</p>
        <p class="status tone-info live-state" id="state" role="status">Loading</p>
      </section>
      <div class="live" id="live">
        <noscript><p class="notice tone-warn">This page needs JavaScript.</p></noscript>
      </div>`,
  })
}
