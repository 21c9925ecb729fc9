import type { PagePolicy } from '@hallpass/pages'
import type { OpenidClient } from './openid-client.ts'
import type { Visitor } from './visitor.ts'

/** What the pages of a visitor need beyond this origin. */
export type PolicyFor = (visitor: Visitor) => Promise<PagePolicy>

/**
 * The picture of the user, and the way from the log-out form to the provider: browsers hold a form's redirects
 * against the policy too.
 */
export function pagePolicy(provider: OpenidClient | undefined): PolicyFor {
  return async ({ user, formToken }) => {
    const images = user?.picture === undefined ? [] : [new URL(user.picture).origin]
    const leads = formToken === undefined ? undefined : await endSession(provider)
    return { images, forms: leads === undefined ? [] : [leads.origin] }
  }
}

/** Where the provider ends its session; a provider that is away has no such place now. */
export async function endSession(
  provider: OpenidClient | undefined,
  idToken?: string,
): Promise<URL | undefined> {
  try {
    return await provider?.endSessionUrl(idToken)
  } catch {
    return undefined
  }
}
