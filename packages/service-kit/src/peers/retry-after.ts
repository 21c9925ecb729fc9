/**
 * Reads a `Retry-After` field as seconds (RFC 9110 §10.2.3). Its other form, a date, depends on the clocks and is ignored.
 * @returns undefined if there is none, or it is not a number of seconds
 */
export const retryAfterSeconds = (field: string | null | undefined): number | undefined =>
  field != null && /^\d{1,9}$/.test(field) ? Number(field) : undefined
