import type { PagePolicy } from '@hallpass/pages'
import type { OpenidClient } from '../provider/index.ts'
import type { Visitor } from '../sessions/index.ts'

/** Returns the other origins that a visitor's pages may use. */
export type PolicyFor = (visitor: Visitor) => Promise<PagePolicy>

/**
 * Allows the user's picture, and the provider as a target of the logout form, because browsers apply the policy to a
 * form's redirects too.
 */
export function pagePolicy(provider: OpenidClient | undefined): PolicyFor {
  return async ({ user, formToken }) => {
    const images = user?.picture === undefined ? [] : [new URL(user.picture).origin]
    const leads = formToken === undefined ? undefined : await endSession(provider)
    return { images, forms: leads === undefined ? [] : [leads.origin] }
  }
}

/** Returns the provider's logout URL, or undefined if the provider is unavailable. */
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
