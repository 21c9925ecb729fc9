import { type Assets, html, type Markup } from '@hallpass/pages'
import { API_SCOPES, type User } from '../users.ts'
import { shell } from './shell.ts'

export interface SignInView {
  readonly uid: string
  readonly clientName: string
  readonly users: readonly User[]
}

export function signInPage(assets: Assets, { uid, clientName, users }: SignInView): Markup {
  return shell(
    assets,
    'Log in',
    html`<h1>Choose a user</h1>
      <p class="lede">Choose a test user to log in to ${clientName}. There are no passwords.</p>
      <form method="post" action="/interaction/${uid}/sign-in" class="stack">
        ${users.map(
          (user) => html`<button class="person" name="user" value="${user.id}">
            <img src="/pictures/${user.id}.svg" alt="" width="44" height="44">
            <span class="person-name">${user.name}<small>${user.email}</small></span>
            <span class="person-may">${may(user)}</span>
          </button>`,
        )}
      </form>
      <form method="post" action="/interaction/${uid}/cancel">
        <button class="quiet">Cancel</button>
      </form>`,
  )
}

/** Describes which backends the user may call. */
function may({ scopes }: User): string {
  const known = Object.entries(API_SCOPES).filter(([scope]) => scopes.includes(scope))
  if (known.length === 0) return 'may call no backend'
  if (known.length === Object.keys(API_SCOPES).length) return 'may call both backends'
  return `may call ${known.map(([, what]) => what).join(' and ')}`
}
