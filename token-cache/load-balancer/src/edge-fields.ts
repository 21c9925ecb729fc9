import { TIER_HEADER } from '@hallpass/tier-trust'

/**
 * Fields with which proxies assert the caller's identity to the server behind them. Callers can set them to anything, so
 * they must not reach the proxies.
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
  // RFC 9440, Envoy, nginx and Apache: a certificate that the caller may not possess.
  'client-cert',
  'client-cert-chain',
  'x-forwarded-client-cert',
  'x-client-cert',
  'x-ssl-client-cert',
  'x-ssl-client-verify',
  'x-ssl-client-s-dn',
  TIER_HEADER,
]

/** Fields with a request's origin; the balancer sets them itself, because only the first proxy knows the origin. */
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

/** The fields that the balancer strips before it adds its own. */
export const EDGE_FIELDS: ReadonlySet<string> = new Set([
  ...IDENTITY_FIELDS,
  ...ORIGIN_FIELDS,
  'x-request-id',
  'traceparent',
])
