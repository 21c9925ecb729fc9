/** Longer ones are not pages of this service, and would not fit into the cookie that carries them. */
const MAX_LENGTH = 512

/**
 * Where to go after the login: a path of this service, and nothing else. What leads elsewhere leads home instead,
 * so that a link to this service's login never becomes a link to somebody else's page (RFC 9700 §4.11).
 */
export function safeReturnTo(wanted: unknown, baseUrl: string): string {
  if (typeof wanted !== 'string' || wanted.length > MAX_LENGTH) return '/'
  // Browsers read `\` as `/` and drop control characters, and so does the URL parser; so they are refused first.
  if (!wanted.startsWith('/') || wanted.startsWith('//') || /[\\\p{Cc}\p{Zs}]/u.test(wanted)) return '/'
  if (!URL.canParse(wanted, baseUrl)) return '/'
  const { origin, pathname, search, hash } = new URL(wanted, baseUrl)
  if (origin !== new URL(baseUrl).origin) return '/'
  const path = pathname + search + hash
  // `/..//evil.example` is a path of ours until somebody resolves it; and escaped, a short path may be a long one.
  return path.startsWith('//') || path.length > MAX_LENGTH ? '/' : path
}
