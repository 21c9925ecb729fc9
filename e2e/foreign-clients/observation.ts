import type { ClientRecord, RunningClient } from './client.ts'

/** An event that is published for the clients, with what is special about it. */
export interface SentEvent {
  readonly kind: string
  readonly name?: string
  readonly data: string
}

const plain = (count: number): SentEvent[] =>
  Array.from({ length: count }, (_, index) => ({ kind: 'plain', data: `event ${index}` }))

/** What clients are known to read differently: line breaks of Unicode that are none in an event stream, and large events. */
export const BEFORE_CHALLENGE: readonly SentEvent[] = [
  ...plain(200),
  { kind: 'named', name: 'update', data: 'an update' },
  { kind: 'two lines', data: 'first\nsecond' },
  { kind: 'an empty line', data: 'before\n\nafter' },
  { kind: 'leading space', data: '  indented' },
  { kind: 'empty data', data: '' },
  { kind: 'Unicode', data: 'żółć 👋' },
  { kind: 'U+2028', data: 'line\u2028separator' },
  { kind: 'U+0085', data: 'next\u0085line' },
  { kind: 'form feed', data: 'form\ffeed' },
  { kind: '100 KB', data: 'x'.repeat(100_000) },
  { kind: '1 MB', data: 'y'.repeat(1_000_000) },
  { kind: 'plain', data: 'before the challenge' },
]
/** Published when the first token has expired: only a stream whose challenge was answered receives it. */
export const AFTER_EXPIRY: SentEvent = { kind: 'plain', data: 'after the first expiry' }

export const eventsOf = ({ records }: RunningClient, type: string): string[] =>
  records.flatMap((record) => ('event' in record && record.event === type ? [record.data] : []))

export const hasAnswered = ({ records }: RunningClient): boolean =>
  records.some((record) => 'answered' in record)

/** Returns `all`, or what is missing or wrong. */
export function describeReceived(records: readonly ClientRecord[], interruptions: number): string {
  const key = ({ name = 'message', data }: Pick<SentEvent, 'name' | 'data'>) => `${name} ${data}`
  const received = records.flatMap((record) =>
    'event' in record && ['message', 'update'].includes(record.event)
      ? [key({ name: record.event, data: record.data })]
      : [],
  )
  const sent = [...BEFORE_CHALLENGE, AFTER_EXPIRY]
  const places = sent.map((event) => received.indexOf(key(event)))
  const missing = [...new Set(sent.filter((_, index) => places[index] === -1).map(({ kind }) => kind))]
  const found = places.filter((place) => place !== -1)
  const problems = [
    ...(missing.length > 0 ? [`not: ${missing.join(', ')}`] : []),
    ...(found.some((place, index) => index > 0 && place <= (found[index - 1] as number))
      ? ['out of order']
      : []),
    ...(new Set(received).size < received.length ? ['some twice'] : []),
    ...(interruptions > 0 ? [`in ${interruptions + 1} streams`] : []),
  ]
  return problems.length === 0 ? 'all' : problems.join('; ')
}

/** Returns how the challenge was answered. */
export function describeAnswer(records: readonly ClientRecord[]): string {
  const answer = records.find((record) => 'answered' in record)
  if (!answer || !('answered' in answer)) return 'no'
  return answer.answered === 204 ? 'yes' : `no: ${answer.answered}`
}

/** Returns the reason of the end that the client saw. */
export function describeEnd(client: RunningClient): string {
  const [data] = eventsOf(client, 'end')
  return data === undefined ? '–' : `\`${JSON.parse(data).reason}\``
}

/** How many requests with an expired token show that a client does not stop. */
export const GOES_ON = 3

/** Returns what the client does after its reconnection is rejected. */
export function describeRejection({ isClosed }: RunningClient, rejections: number): string {
  if (rejections >= GOES_ON) return 'goes on'
  if (!isClosed) return `waits after ${rejections}`
  return rejections === 0 ? 'does not reconnect' : 'stops'
}
