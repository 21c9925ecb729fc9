import { type Assets, contentSecurityPolicy, html, type Markup, Markup as Raw } from '@hallpass/pages'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { confirmByHint } from '../routes/end-session.ts'
import { problemPage } from './problem.ts'
import { shell } from './shell.ts'

type Features = NonNullable<Configuration['features']>
type Logout = Required<NonNullable<Features['rpInitiatedLogout']>>

/** The pages that oidc-provider itself shows, in the shared design. */
export interface ProviderPages {
  readonly logOut: Logout['logoutSource']
  readonly loggedOut: Logout['postLogoutSuccessSource']
  readonly problem: NonNullable<Configuration['renderError']>
}

/** @param webUiUrl the only other origin to which forms on these pages may redirect. */
export function providerPages(assets: Assets, webUiUrl: string): ProviderPages {
  const send = (ctx: KoaContextWithOIDC, page: Markup) => {
    ctx.set('content-security-policy', contentSecurityPolicy({ forms: [webUiUrl] }))
    ctx.type = 'html'
    ctx.body = `<!doctype html>\n${page}`
  }
  return {
    logOut: (ctx, form) => {
      if (confirmByHint(ctx)) return
      const left = ctx.oidc.client?.clientName
      send(
        ctx,
        shell(
          assets,
          'Log out',
          html`<h1>Log out everywhere?</h1>
            <p class="lede">
              ${left && `You are logged out of ${left}.`} Logging out here ends your session at this provider, and in every
              application that you logged in to through it.
            </p>
            ${new Raw(form)}
            <div class="actions">
              <button class="primary" form="op.logoutForm" name="logout" value="yes">Log out</button>
              <button class="quiet" form="op.logoutForm">Stay logged in</button>
            </div>`,
        ),
      )
    },
    loggedOut: (ctx) =>
      send(
        ctx,
        shell(
          assets,
          'Logged out',
          html`<h1>You are logged out</h1><p class="lede">Your session has ended.</p>`,
        ),
      ),
    problem: (ctx, out) =>
      send(
        ctx,
        problemPage(assets, webUiUrl, out.error, out.error_description ?? 'The request is not valid.'),
      ),
  }
}
