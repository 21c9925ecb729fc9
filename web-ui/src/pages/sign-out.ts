import { html, type Markup } from '@hallpass/pages'
import { stranger, type Visitor } from '../sessions/index.ts'
import { type Site, shell } from './shell.ts'

/** Returns the page that asks for confirmation: a link must not be enough to log a user out. */
export function signOutPage(site: Site, visitor: Visitor): Markup {
  return shell(site, {
    title: 'Log out',
    visitor,
    content: visitor.user
      ? html`<section class="intro">
          <h1>Log out?</h1>
          <p class="lede">Ends your session here and at the identity provider.</p>
          <form class="actions" method="post" action="/logout">
            <input type="hidden" name="form_token" value="${visitor.formToken}">
            <button class="primary">Log out ${visitor.user.name}</button>
            <a class="button quiet" href="/">Cancel</a>
          </form>
        </section>`
      : html`<section class="intro">
          <h1>You are not logged in</h1>
          <p class="lede">There is no session to end.</p>
          <p><a class="button" href="/">Home</a></p>
        </section>`,
  })
}

/** A request to the provider, which the browser must send, because it has the cookie of the session there. */
export interface LogoutRequest {
  readonly method: 'get' | 'post'
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
  /** Whether it contains the ID token of the session, so that the provider need not ask. */
  readonly isIdentified: boolean
}

/** Returns the page that sends the browser to the provider. Its script submits the form; without scripts there is a button. */
export function leavePage(site: Site, { method, action, fields, isIdentified }: LogoutRequest): Markup {
  return shell(site, {
    title: 'Log out',
    visitor: stranger,
    scripts: isIdentified ? ['submit-form.js'] : [],
    footer: isIdentified
      ? 'This page contains your last ID token, for the identity provider. Your session with it has ended here.'
      : undefined,
    content: html`<section class="intro">
      <h1>You are logged out here</h1>
      <p class="lede">${
        isIdentified
          ? 'The identity provider ends its session next.'
          : 'The web UI no longer knows your session, so it cannot identify it to the identity provider. The provider may ' +
            'ask you, or decline.'
      }</p>
      <form class="actions" id="leave" method="${method}" action="${action}">
        ${Object.entries(fields).map(
          ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
        )}
        <button class="primary">Log out at the identity provider</button>
      </form>
    </section>`,
  })
}

const STAYS = 'Anyone who uses this browser may log in again without a password, until that session ends.'

/** Why the provider's session stays. */
const REASONS = {
  no_endpoint: `The identity provider has no logout endpoint, so its session continues. ${STAYS}`,
  no_answer: `The identity provider does not answer, so its session may continue. ${STAYS} To end it, log in and log out again later.`,
} as const

/** Returns the page after a logout that ended only the session here. */
export function loggedOutHerePage(site: Site, reason: keyof typeof REASONS): Markup {
  return shell(site, {
    title: 'Logged out',
    visitor: stranger,
    content: html`<section class="intro">
      <h1>You are logged out here</h1>
      <p class="lede">${REASONS[reason]}</p>
      <p><a class="button" href="/">Home</a></p>
    </section>`,
  })
}
