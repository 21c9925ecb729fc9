import type { Logger } from '@hallpass/service-kit'

/**
 * Imports oidc-provider, and logs its console warnings at debug level. On Node 20 it recommends Node 22, which does not
 * concern the user who starts a service.
 */
export async function loadOidcLibrary(log: Logger) {
  const { warn } = console
  console.warn = (text: unknown) => log.debug({ library: 'oidc-provider' }, String(text))
  try {
    return await import('oidc-provider')
  } finally {
    console.warn = warn
  }
}
