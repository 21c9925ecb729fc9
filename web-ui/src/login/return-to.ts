/** Longer than any page of this service. A longer path would not fit into the cookie. */
const MAX_LENGTH = 512

/**
 * Returns the path to redirect to after the login. Replaces anything but a path of this service by `/`, so that a login link
 * is not an open redirect (RFC 9700 §4.11).
 */
export function safeReturnTo(wanted: unknown, baseUrl: string): string {
  if (typeof wanted !== 'string' || wanted.length > MAX_LENGTH) return '/'
  // Browsers and the URL parser treat `\` as `/` and drop control characters, so these are rejected first.
  if (!wanted.startsWith('/') || wanted.startsWith('//') || /[\\\p{Cc}\p{Zs}]/u.test(wanted)) return '/'
  if (!URL.canParse(wanted, baseUrl)) return '/'
  const { origin, pathname, search, hash } = new URL(wanted, baseUrl)
  if (origin !== new URL(baseUrl).origin) return '/'
  const path = pathname + search + hash
  // `/..//evil.example` is a local path only until it is resolved, and escaping can lengthen a path.
  return path.startsWith('//') || path.length > MAX_LENGTH ? '/' : path
}
