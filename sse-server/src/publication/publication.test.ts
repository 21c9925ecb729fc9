import { EventStreamParser, encodeEvent, MAX_EVENT_BYTES } from '@hallpass/event-stream'
import { JsonNumber } from '@hallpass/untrusted/json'
import { describe, expect, it } from '@jest/globals'
import { PublicationError, toPublication } from './publication.ts'

type Refusal = [what: string, object: Record<string, unknown>, code: string, message: string]

const invalid = (member: string, value: string) =>
  `${member} ${value} is not valid: it must be a string of at most 254 bytes without line breaks, NUL or lone surrogates.`
const badRetry = (value: string) =>
  `retry ${value} is not valid: it must be an integer from 0 to 86400000 (milliseconds).`
const badTopic = (value: string) =>
  `topic ${value} is not valid: it must not be empty or *, with which clients request every topic.`

describe('toPublication', () => {
  it.each([
    ['a string', { data: 'Hello, world' }, { data: 'Hello, world' }],
    ['a string of several lines', { data: 'a\nb\r\nc\rd' }, { data: 'a\nb\nc\nd' }],
    ['an empty string', { data: '' }, { data: '' }],
    ['an object', { data: { id: 1, name: 'Hello World!' } }, { data: '{"id":1,"name":"Hello World!"}' }],
    ['a lone surrogate in an object', { data: ['\ud800'] }, { data: '["\\ud800"]' }],
    ['an array', { data: [1, 'a'] }, { data: '[1,"a"]' }],
    ['a number', { data: 5 }, { data: '5' }],
    ['a boolean', { data: false }, { data: 'false' }],
    ['null', { data: null }, { data: 'null' }],
    ['a name', { name: 'something', data: 'one' }, { event: 'something', data: 'one' }],
    ['the alias event', { event: 'something', data: 'one' }, { event: 'something', data: 'one' }],
    ['the alias type', { type: 'something', data: 'one' }, { event: 'something', data: 'one' }],
    [
      'a name together with its aliases',
      { name: 'n', event: 'e', type: 't', data: '' },
      { event: 'n', data: '' },
    ],
    ['a name without data', { name: 'n' }, { event: 'n', data: '' }],
    ['an empty name', { name: '', data: 'x' }, { data: 'x' }],
    [
      'everything',
      { id: '7', event: 'e', data: 'x', retry: 100, topic: 't' },
      { id: '7', event: 'e', data: 'x', retry: 100, topic: 't' },
    ],
    ['a numeric ID', { id: 7, data: 'x' }, { id: '7', data: 'x' }],
    ['an ID beyond 2^53', { id: new JsonNumber('9007199254740993') }, { id: '9007199254740993' }],
    [
      'numbers as they were written',
      { data: { id: new JsonNumber('18446744073709551615'), n: [new JsonNumber('1e400')] } },
      { data: '{"id":18446744073709551615,"n":[1e400]}' },
    ],
    ['a retry in exponent notation', { retry: new JsonNumber('2e3') }, { retry: 2000 }],
    ['an ID of digits', { id: '1795316400000', data: 'x' }, { id: '1795316400000', data: 'x' }],
    ['an ID with a no-break space inside', { id: 'é\u00a07', data: 'x' }, { id: 'é\u00a07', data: 'x' }],
    ['a date as ID', { id: '2026-11-29', data: 'x' }, { id: '2026-11-29', data: 'x' }],
    ['a type that resembles a reserved one', { name: 'End', data: 'x' }, { event: 'End', data: 'x' }],
    ['the longest retry', { retry: 86_400_000 }, { retry: 86_400_000 }],
    ['unknown members', { data: 'x', colour: 'red' }, { data: 'x' }],
  ])('S02 accepts %s', (_what, object, publication) => {
    expect(toPublication(object)).toEqual(publication)
  })

  it.each<Refusal>([
    ['nothing', {}, 'empty_publication', 'A publication needs data, event, id or retry.'],
    ['only a topic', { topic: 't' }, 'empty_publication', 'A publication needs data, event, id or retry.'],
    ['a type with a line break', { name: 'a\ndata:b' }, 'bad_member', invalid('name', '"a\\ndata:b"')],
    [
      'a string with a lone surrogate',
      { data: 'a\ud800' },
      'bad_member',
      'data contains a lone surrogate, which cannot be encoded as UTF-8. Send complete characters.',
    ],
    ['a type that is an object', { name: {} }, 'bad_member', invalid('name', '{}')],
    ['a type with a lone surrogate', { name: '\ud800' }, 'bad_member', invalid('name', '"\\ud800"')],
    ...['challenge', 'end', 'stream', 'gap'].flatMap((type) =>
      ['name', 'event', 'type'].map(
        (member): Refusal => [
          `the type ${type} as ${member}`,
          { [member]: type, data: 'x' },
          'reserved_event',
          `${member} "${type}" is reserved for events of the gateway or of this server. Use another name.`,
        ],
      ),
    ),
    ['an ID with NUL', { id: '\0', data: '' }, 'bad_member', invalid('id', '"\\u0000"')],
    ['an ID with a line break', { id: '1\r2', data: '' }, 'bad_member', invalid('id', '"1\\r2"')],
    [
      'an ID of 255 bytes',
      { id: '€'.repeat(85), data: '' },
      'bad_member',
      invalid('id', `"${'€'.repeat(85)}"`),
    ],
    ['an ID with a lone surrogate', { id: 'a\udfff', data: '' }, 'bad_member', invalid('id', '"a\\udfff"')],
    ...(
      [
        ['', '""'],
        [' x', '" x"'],
        ['x ', '"x "'],
        ['\tx', '"\\tx"'],
        ['a\tb', '"a\\tb"'],
        ['a\u0001b', '"a\\u0001b"'],
        ['\u001b[2J', '"\\u001b[2J"'],
        ['x\u007f', '"x\\u007f"'],
        ['x\u009by', '"x\\u009by"'],
        ['\u00a0x', '"\u00a0x"'],
        ['x\u00a0', '"x\u00a0"'],
        ['\ufeffx', '"\\ufeffx"'],
        ['x\u2028', '"x\\u2028"'],
        ['x\u3000', '"x\u3000"'],
      ] as const
    ).map(
      ([id, json]): Refusal => [
        `the ID ${json}`,
        { id, data: 'x' },
        'bad_member',
        `id ${json} is not valid: clients could not resume from it. It must not be empty, contain control characters, or start or end with white space.`,
      ],
    ),
    ...['12-34', '0-0', '1795316400000-0', '99999999999999999999-18446744073709551615'].map(
      (id): Refusal => [
        `the ID ${id}`,
        { id, data: 'x' },
        'reserved_id',
        `id "${id}" is reserved: this log uses the form number-number for its own positions. Add a prefix, or omit the id.`,
      ],
    ),
    ['a retry that is a string', { retry: '100' }, 'bad_member', badRetry('"100"')],
    ['a retry below zero', { retry: -1 }, 'bad_member', badRetry('-1')],
    ['a retry over a day', { retry: 86_400_001 }, 'bad_member', badRetry('86400001')],
    ['a retry of twenty digits', { retry: 1e20 }, 'bad_member', badRetry('100000000000000000000')],
    ['an empty topic', { topic: '', data: 'x' }, 'bad_member', badTopic('""')],
    ['the topic of all topics', { topic: '*', data: 'x' }, 'bad_member', badTopic('"*"')],
  ])('rejects %s', (_what, object, code, message) => {
    expect(() => toPublication(object)).toThrow(PublicationError)
    expect(() => toPublication(object)).toThrow(expect.objectContaining({ code, message }))
  })
})

describe('the size of an event', () => {
  /** Returns the data that a gateway with default settings reports for an event, under the longest ID of a log. */
  function receive(event: Parameters<typeof encodeEvent>[0]): string[] {
    const seen: string[] = []
    const parser = new EventStreamParser({ onEvent: ({ data }) => seen.push(data) })
    parser.push(Buffer.from(encodeEvent({ id: '18446744073709551615-18446744073709551615', ...event })))
    return seen
  }

  /** Returns data with line breaks whose event has a number of bytes. */
  const lines = (bytes: number, breaks: number, lineBreak: string) => {
    const rest = bytes - Buffer.byteLength(encodeEvent({ data: lineBreak.repeat(breaks) }))
    return lineBreak.repeat(breaks) + 'é'.repeat(Math.floor(rest / 2)) + 'x'.repeat(rest % 2)
  }

  it.each([
    ['one line', 0, '\n'],
    ['1,000 lines', 1_000, '\r\n'],
    ['150,000 lines', 150_000, '\n'],
    ['empty lines only', 174_760, '\r'],
    ['lines that start with a space', 100_000, '\n '],
  ])('is at most what every gateway accepts: %s', (_what, breaks, lineBreak) => {
    for (const bytes of [MAX_EVENT_BYTES - 1, MAX_EVENT_BYTES]) {
      const data = lines(bytes, breaks, lineBreak)
      expect(Buffer.byteLength(encodeEvent({ data }))).toBe(bytes)
      expect(receive(toPublication({ data }))[0] === data.replace(/\r\n?/g, '\n')).toBe(true)
    }
    expect(() => toPublication({ data: lines(MAX_EVENT_BYTES + 1, breaks, lineBreak) })).toThrow(
      expect.objectContaining({
        code: 'event_too_large',
        status: 413,
        message:
          'The event has 1048577 bytes, with data: before each line of its data. At most 1048576 are allowed, because readers accept no more.',
      }),
    )
  })

  it('counts type, ID and retry as they are sent, but not the topic', () => {
    const counted = { id: 'i'.repeat(254), event: 'é'.repeat(127), retry: 86_400_000 }
    const members = { ...counted, topic: 't'.repeat(254) }
    const room = MAX_EVENT_BYTES - Buffer.byteLength(encodeEvent({ ...counted, data: '' }))
    expect(receive(toPublication({ ...members, data: 'x'.repeat(room) }))).toHaveLength(1)
    expect(() => toPublication({ ...members, data: 'x'.repeat(room + 1) })).toThrow(
      expect.objectContaining({ code: 'event_too_large' }),
    )
  })

  it('includes the digits of numbers that are printed', () => {
    expect(() => toPublication({ data: Array.from({ length: 50_000 }, () => 1e20) })).toThrow(
      expect.objectContaining({
        code: 'event_too_large',
        message: expect.stringMatching(/^The event has 1100008 bytes, /),
      }),
    )
  })
})
