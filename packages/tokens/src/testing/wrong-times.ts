import { DAY, type Forge, MINUTE, type Row, refusedAs, YEAR } from './forge.ts'

/** RFC 9068 §2.2, ASVS 9.2.1. */
export function livingTooLong(forge: Forge): Row[] {
  const { now, maxLifetimeSeconds: max } = forge
  const tooLong = (name: string, claims: Readonly<Record<string, unknown>>) =>
    refusedAs(name, forge.withClaims(claims), 'lifetime_too_long', 'jwt lifetime too long')
  return [
    refusedAs('no exp', forge.withClaims({ exp: undefined }), 'expiry_missing', 'jwt exp required'),
    tooLong('a second more than the maximum lifetime', { exp: now + max + 1 }),
    tooLong('ten years', { exp: now + 10 * YEAR }),
    tooLong('ten years, without iat', { exp: now + 10 * YEAR, iat: undefined }),
    tooLong('issued last year, expiring soon', { iat: now - YEAR }),
    tooLong('issued in 1970', { iat: 0 }),
  ]
}

/** RFC 7519 §4.1.4–§4.1.6, §2 (NumericDate). */
export function atTheWrongTime(forge: Forge): Row[] {
  const { now } = forge
  const expired = [now, now - 1, now - 0.5, now - DAY, 1, 0]
  const notDates = [
    '"soon"',
    `"${now + MINUTE}"`,
    '"2099-01-01T00:00:00Z"',
    'true',
    'null',
    '[]',
    `[${now}]`,
    '{}',
    '-1',
    '1e20',
    `${now * 1000}`,
  ]
  const malformed = [
    ['exp', 'expiry_malformed'],
    ['nbf', 'not_before_malformed'],
    ['iat', 'issued_at_malformed'],
  ] as const
  return [
    ...expired.map((exp) =>
      refusedAs(
        `exp ${now - exp} s ago`,
        forge.withClaims({ exp, iat: undefined }),
        'expired',
        'jwt expired',
      ),
    ),
    ...[1, 0.5, DAY, YEAR].map((ahead) =>
      refusedAs(
        `nbf in ${ahead} s`,
        forge.withClaims({ nbf: now + ahead }),
        'not_active_yet',
        'jwt not active',
      ),
    ),
    ...[1, 0.5, DAY, YEAR].map((ahead) =>
      refusedAs(
        `iat in ${ahead} s`,
        forge.withClaims({ iat: now + ahead }),
        'issued_in_future',
        'jwt issued in the future',
      ),
    ),
    ...malformed.flatMap(([claim, reason]) =>
      notDates.map((value) =>
        refusedAs(
          `${claim} ${value}`,
          forge.sign(forge.header, withMember(forge.claims, claim, value)),
          reason,
          `invalid ${claim} value`,
        ),
      ),
    ),
  ]
}

/** Serializes the object with one member given as JSON text. */
const withMember = (object: object, name: string, json: string) =>
  JSON.stringify({ ...object, [name]: '@' }).replace(`"${name}":"@"`, `"${name}":${json}`)
