import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../visitor.ts'
import { type Site, shell } from './shell.ts'

export interface LivePage {
  readonly path: string
  /** In the navigation. */
  readonly label: string
  readonly heading: string
  readonly lede: string
}

/** The live views: what each shows is drawn by the script of its name, from `/live/…`. */
export const LIVE_PAGES: readonly LivePage[] = [
  {
    path: '/numbers',
    label: 'Numbers',
    heading: 'Four ways, side by side.',
    lede:
      'The same call with each of scenarios 1 to 4: how long it takes here, how often the issuer is asked, where keys ' +
      'live, and what a thief could do with what lies at service B.',
  },
  {
    path: '/keys',
    label: 'Keys',
    heading: 'Every key, and where it is in its life.',
    lede:
      'A key is published before it signs, and stays until the last token that it has signed expires. So a rotation ' +
      'refuses no good token: rotate one, run a scenario, and see.',
  },
  {
    path: '/streams',
    label: 'Streams',
    heading: 'Streams that end with their token.',
    lede:
      'Each open stream of the gateway, with the time that its token has left. Before the end the gateway asks for a new ' +
      'token; who answers stays, who does not is told why it is over.',
  },
  {
    path: '/token-cache',
    label: 'Cache',
    heading: 'One cache, two proxies.',
    lede:
      'Both nodes of the token cache beside each other. The issuer is asked once for a user, however many requests come, ' +
      'and at whichever node. A block is in force at both at once.',
  },
  {
    path: '/identities',
    label: 'Identities',
    heading: 'Who is who, and who says so.',
    lede:
      'The SPIFFE identities that the agent gives out: short-lived certificates that renew themselves at half of their ' +
      'life, and the authorities that everybody trusts.',
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
        <p class="status tone-info live-state" id="state" role="status">Asking</p>
      </section>
      <div class="live" id="live">
        <noscript><p class="notice tone-warn">What is here changes by the second and is drawn by a script; scripts are off.</p></noscript>
      </div>`,
  })
}
