import type { IncomingMessage } from 'node:http'
import { DEADLINE_HEADER } from '@hallpass/service-kit'

/**
 * Hop-by-hop headers (RFC 9110 §7.6.1), and those that each hop writes itself: the framing of the body, the host, the
 * deadline, and `expect`, which this hop has already answered.
 */
const OF_THIS_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'host',
  DEADLINE_HEADER,
])

/** In a response, only the hop-by-hop headers; Node writes the framing. */
const OF_ANSWER_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/**
 * Returns the headers of a request as alternating names and values, without those of this hop, those that the sender
 * names in `Connection`, and `stripped` (lower case).
 */
export function requestHeaders(request: IncomingMessage, stripped: ReadonlySet<string>): string[] {
  const { rawHeaders } = request
  const connection = request.headers.connection
  const named = connection === undefined || connection === 'keep-alive' ? undefined : tokensOf(connection)
  const kept: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const field = rawHeaders[index] as string
    const name = field.toLowerCase()
    if (OF_THIS_HOP.has(name) || stripped.has(name) || named?.has(name)) continue
    kept.push(field, rawHeaders[index + 1] as string)
  }
  return kept
}

/**
 * Returns the headers of a response that may be forwarded, in the form that Node's `writeHead` takes.
 * @param own headers of this hop (name in lower case, value, …) that replace the upstream's of the same names
 */
export function answerHeaders(
  raw: readonly Buffer[],
  own: readonly string[] = [],
): { fields: string[]; hasLength: boolean } {
  const fields: string[] = [...own]
  let named: Set<string> | undefined
  let hasLength = false
  for (let index = 0; index < raw.length; index += 2) {
    const field = latin1(raw[index])
    const name = field.toLowerCase()
    if (OF_ANSWER_HOP.has(name)) {
      if (name === 'connection') {
        const value = latin1(raw[index + 1])
        if (value !== 'keep-alive' && value !== 'close') named = tokensOf(value)
      }
      continue
    }
    if (own.includes(name)) continue
    if (name === 'content-length') hasLength = true
    fields.push(field, latin1(raw[index + 1]))
  }
  return { fields: named ? without(fields, named) : fields, hasLength }
}

function without(fields: readonly string[], named: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let index = 0; index < fields.length; index += 2)
    if (!named.has((fields[index] as string).toLowerCase()))
      kept.push(fields[index] as string, fields[index + 1] as string)
  return kept
}

const tokensOf = (value: string) => new Set(value.toLowerCase().split(/[\s,]+/))

/** Header values are bytes (RFC 9110 §5.5); Node reads and writes them as latin1. */
const latin1 = (bytes: Buffer | undefined) => bytes?.toString('latin1') ?? ''
