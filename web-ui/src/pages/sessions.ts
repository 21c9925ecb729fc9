import { html, type Markup } from '@hallpass/pages'
import type { OwnSession, Visitor } from '../sessions/index.ts'
import { type Site, shell } from './shell.ts'

/** Returns the page that lists the user's sessions, with a form to end each of the others. */
export function sessionsPage(
  site: Site,
  visitor: Visitor & { formToken: string },
  sessions: readonly OwnSession[],
  now: number,
): Markup {
  const others = sessions.filter(({ isThis }) => !isThis)
  const endForm = (
    name: string,
    value: string,
    button: Markup,
  ) => html`<form method="post" action="/sessions/end">
    <input type="hidden" name="form_token" value="${visitor.formToken}">
    <input type="hidden" name="${name}" value="${value}">
    ${button}
  </form>`
  return shell(site, {
    title: 'Your sessions',
    visitor,
    content: html`
      <section class="intro">
        <h1>Your sessions</h1>
        <p class="lede">Each browser in which you are logged in to this web UI. If you do not recognize one, log it out.</p>
        ${
          others.length > 0
            ? endForm('others', 'true', html`<button class="danger">Log out everywhere else</button>`)
            : html`<p class="notice tone-info">You are logged in only in this browser.</p>`
        }
      </section>
      <section class="section" aria-label="Sessions">
        <div class="cards">
          ${sessions.map(
            (session) => html`<article class="card">
              <header class="card-head">
                <h2 id="${session.handle}">${session.browser}</h2>
                ${session.isThis && html`<span class="status tone-good">this browser</span>`}
              </header>
              <dl class="facts">
                <dt>Logged in</dt><dd>${time(session.startedAt, `${ago(now - session.startedAt)}`)}</dd>
                <dt>Last used</dt><dd>${session.isThis ? 'now' : time(session.usedAt, ago(now - session.usedAt))}</dd>
                <dt>Ends</dt><dd>${ending(session, now)}</dd>
              </dl>
              ${
                !session.isThis &&
                endForm(
                  'handle',
                  session.handle,
                  html`<button aria-describedby="${session.handle}">Log out there</button>`,
                )
              }
            </article>`,
          )}
        </div>
        ${
          others.length > 0 &&
          html`<p>A session that you end here is over with its next request. The session of that browser at the identity
            provider continues: until it ends, the browser may log in again without a password.</p>`
        }
      </section>`,
  })
}

function ending({ isThis, idleEndsAt, endsAt }: OwnSession, now: number): Markup {
  const latest = time(endsAt, `in ${duration(endsAt - now)}`)
  if (idleEndsAt >= endsAt) return latest
  return html`${isThis ? `${duration(idleEndsAt - now)} after its last use` : time(idleEndsAt, `in ${duration(idleEndsAt - now)} if it is not used`)}, at the latest ${latest}`
}

function time(milliseconds: number, words: string): Markup {
  const iso = new Date(milliseconds).toISOString()
  return html`<time datetime="${iso}" title="${iso.slice(0, 19).replace('T', ' ')} UTC">${words}</time>`
}

const ago = (milliseconds: number) =>
  milliseconds < 60_000 ? 'less than a minute ago' : `${duration(milliseconds)} ago`

function duration(milliseconds: number): string {
  const minutes = Math.max(1, Math.round(milliseconds / 60_000))
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`
}
