import { html, type Markup } from '@hallpass/pages'
import type { Visitor } from '../sessions/index.ts'
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
