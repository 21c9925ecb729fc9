import { html, type Markup } from '@hallpass/pages'
import { stranger, type Visitor } from '../sessions/index.ts'
import { type Site, shell } from './shell.ts'

export interface Problem {
  readonly status: number
  readonly code: string
  readonly title: string
  readonly message: string
  /** What may help: to log in again, or to log out with a current form. */
  readonly offer?: 'login' | 'logout' | undefined
}

export function problemPage(site: Site, problem: Problem, visitor: Visitor = stranger): Markup {
  const { status, code, title, message, offer } = problem
  return shell(site, {
    title,
    visitor,
    content: html`<section class="intro">
      <p><span class="status tone-${status >= 500 ? 'bad' : 'warn'}">${status} ${code}</span></p>
      <h1>${title}</h1>
      <p class="lede">${message}</p>
      <p class="actions">
        ${offer === 'logout' && html`<a class="button primary" href="/logout">Log out</a>`}
        ${offer === 'login' && site.loginUrl && html`<a class="button primary" href="${site.loginUrl}">Log in again</a>`}
        <a class="button" href="/">Home</a>
      </p>
    </section>`,
  })
}
