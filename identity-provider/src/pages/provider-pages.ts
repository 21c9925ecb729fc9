import { type Assets, contentSecurityPolicy, html, type Markup, Markup as Raw } from '@hallpass/pages'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { confirmByHint } from '../routes/end-session.ts'
import { problemPage } from './problem.ts'
import { shell } from './shell.ts'

type Features = NonNullable<Configuration['features']>
type Logout = Required<NonNullable<Features['rpInitiatedLogout']>>

/** The pages that oidc-provider asks for itself, in the design of the house. */
export interface ProviderPages {
  readonly signOut: Logout['logoutSource']
  readonly signedOut: Logout['postLogoutSuccessSource']
  readonly problem: NonNullable<Configuration['renderError']>
}

/** @param webUiUrl the only other origin to which a form of these pages leads. */
export function providerPages(assets: Assets, webUiUrl: string): ProviderPages {
  const send = (ctx: KoaContextWithOIDC, page: Markup) => {
    ctx.set('content-security-policy', contentSecurityPolicy({ forms: [webUiUrl] }))
    ctx.type = 'html'
    ctx.body = `<!doctype html>\n${page}`
  }
  return {
    signOut: (ctx, form) => {
      if (confirmByHint(ctx)) return
      send(
        ctx,
        shell(
          assets,
          'Sign out',
          html`<h1>Sign out everywhere?</h1>
            <p class="lede">
              ${ctx.oidc.client?.clientName ?? 'An application'} has let you go. This ends your session here too, and
              with it every application that you entered through here.
            </p>
            ${new Raw(form)}
            <div class="actions">
              <button class="primary" form="op.logoutForm" name="logout" value="yes">Sign out</button>
              <button class="quiet" form="op.logoutForm">Stay signed in</button>
            </div>`,
        ),
      )
    },
    signedOut: (ctx) =>
      send(ctx, shell(assets, 'Signed out', html`<h1>You are signed out</h1><p class="lede">See you.</p>`)),
    problem: (ctx, out) =>
      send(
        ctx,
        problemPage(assets, webUiUrl, out.error, out.error_description ?? 'The request is not valid.'),
      ),
  }
}
