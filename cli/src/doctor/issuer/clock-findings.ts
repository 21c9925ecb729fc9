import type { Finding } from '../finding.ts'
import type { Read } from './read-json.ts'

/** The largest value of CLOCK_TOLERANCE_SECONDS. */
const MAX_TOLERANCE_S = 60

/**
 * Compares the clock of an issuer, by the header `Date` (RFC 9110 §6.6.1), with this one. The header has whole seconds and
 * the answer was on its way for a while, so the difference is known only as a range; the least of it counts.
 */
export function clockFindings({ headers, sentAt, receivedAt }: Read, toleranceSeconds: number): Finding[] {
  // A cache adds its own age; the date is that of the origin (RFC 9111 §4.2.3).
  const ageMs = Number(headers.age ?? 0) * 1000
  const date = Date.parse(String(headers.date)) + ageMs
  if (Number.isNaN(date))
    return [{ state: 'note', what: 'The clock was not compared: the answer has no header Date' }]
  const leastMs = date - receivedAt
  const mostMs = date + 1000 - sentAt
  const differenceMs = leastMs > 0 ? leastMs : mostMs < 0 ? -mostMs : 0
  if (differenceMs === 0)
    return [
      {
        state: 'good',
        what: 'The clock of the issuer agrees with this one (the header Date has a resolution of 1 s)',
      },
    ]
  const seconds = Math.ceil(differenceMs / 1000)
  const isAhead = leastMs > 0
  const what = `The clock of the issuer is at least ${seconds} s ${isAhead ? 'ahead of' : 'behind'} this one (the header Date has a resolution of 1 s)`
  if (differenceMs <= toleranceSeconds * 1000)
    return [{ state: 'note', what: `${what}; CLOCK_TOLERANCE_SECONDS=${toleranceSeconds} allows it` }]
  const settable = Math.min(seconds + 1, MAX_TOLERANCE_S)
  return [
    {
      state: 'bad',
      what: `${what}: its tokens look ${isAhead ? 'issued in the future' : 'expired too early'}; CLOCK_TOLERANCE_SECONDS is ${toleranceSeconds}`,
      remedy: `timedatectl set-ntp true (on both machines)${seconds < MAX_TOLERANCE_S ? `. Until then, for every service: CLOCK_TOLERANCE_SECONDS=${settable}` : ''}`,
    },
  ]
}
