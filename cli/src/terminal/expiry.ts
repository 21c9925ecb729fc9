import { CommandFailure, EXIT } from '../failure.ts'

const SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  sec: 1,
  second: 1,
  seconds: 1,
  m: 60,
  min: 60,
  minute: 60,
  minutes: 60,
  h: 3_600,
  hr: 3_600,
  hour: 3_600,
  hours: 3_600,
  d: 86_400,
  day: 86_400,
  days: 86_400,
  w: 604_800,
  week: 604_800,
  weeks: 604_800,
}
const DURATION = /^([+-]?)((?:\s*\d+(?:\.\d+)?\s*[a-z]+)+)$/i
const PART = /(\d+(?:\.\d+)?)\s*([a-z]+)/gi

/**
 * Parses a time in the formats of jwt-cli to seconds since the epoch: `30s`, `+30s`, `1h30m` from now, `-30s` ago, or the
 * seconds themselves.
 * @throws {CommandFailure} for any other format.
 */
export function parseTime(text: string, now: number): number {
  if (/^-?\d+$/.test(text)) return exact(Number(text), text)
  const [, sign, parts] = DURATION.exec(text.trim()) ?? []
  if (parts === undefined)
    throw new CommandFailure(
      `${JSON.stringify(text)} is not a valid time. Examples: 30s, +5m, 1h30m, -30s, 1795316400.`,
      EXIT.usage,
    )
  let seconds = 0
  for (const [, amount, unit] of parts.matchAll(PART)) {
    const length = SECONDS[(unit as string).toLowerCase()]
    if (length === undefined)
      throw new CommandFailure(
        `${JSON.stringify(unit)} is not a unit of time. Use s, m, h, d or w.`,
        EXIT.usage,
      )
    seconds += Number(amount) * length
  }
  return exact(Math.floor(now / 1000 + (sign === '-' ? -seconds : seconds)), text)
}

function exact(seconds: number, text: string): number {
  if (Number.isSafeInteger(seconds)) return seconds
  throw new CommandFailure(`${JSON.stringify(text)} is not a valid time for a token.`, EXIT.usage)
}

/** Formats a time relative to now: `in 25 s`, `now`, `3 minutes ago`. */
export function fromNow(time: number, now: number): string {
  const difference = time - Math.floor(now / 1000)
  if (difference === 0) return 'now'
  const seconds = Math.abs(difference)
  const [amount, unit] =
    seconds < 120
      ? [seconds, 's']
      : seconds < 7_200
        ? [Math.round(seconds / 60), 'minutes']
        : seconds < 172_800
          ? [Math.round(seconds / 3_600), 'hours']
          : [Math.round(seconds / 86_400), 'days']
  return difference >= 0 ? `in ${amount} ${unit}` : `${amount} ${unit} ago`
}

/** Returns whether a Date can represent these seconds since the epoch. */
export const isDate = (seconds: number): boolean => Math.abs(seconds) <= 8_640_000_000_000
