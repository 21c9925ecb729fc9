import type { Logger } from '@hallpass/service-kit'

/**
 * oidc-provider talks to the console while it is being loaded: on Node 20, that it would rather have Node 22. Who starts
 * a service should read what concerns them, so it goes to the log, for those who look closely.
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
