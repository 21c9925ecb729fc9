import { TIER_HEADER } from '@hallpass/tier-trust'

/**
 * Fields by which a proxy tells the server behind it who the caller is. What comes from outside under these names is a
 * claim of the caller, and must not look like the word of a proxy.
 */
const IDENTITY_FIELDS = [
  'remote-user',
  'remote_user',
  'x-remote-user',
  'x-remote-group',
  'x-forwarded-user',
  'x-forwarded-email',
  'x-forwarded-groups',
  'x-forwarded-preferred-username',
  'x-forwarded-access-token',
  'x-auth-request-user',
  'x-auth-request-email',
  'x-auth-request-groups',
  'x-auth-request-access-token',
  'x-authenticated-user',
  'x-webauth-user',
  // RFC 9440, Envoy, nginx and Apache: a certificate that the caller may not have.
  'client-cert',
  'client-cert-chain',
  'x-forwarded-client-cert',
  'x-client-cert',
  'x-ssl-client-cert',
  'x-ssl-client-verify',
  'x-ssl-client-s-dn',
  TIER_HEADER,
]

/** Where a request came from: written here anew, because the first proxy is the one that knows. */
const ORIGIN_FIELDS = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
  'true-client-ip',
  'cf-connecting-ip',
]

/** What is taken off at the edge, before this hop's own fields are added. */
export const EDGE_FIELDS: ReadonlySet<string> = new Set([
  ...IDENTITY_FIELDS,
  ...ORIGIN_FIELDS,
  'x-request-id',
  'traceparent',
])
