import { describe, expect, it } from '@jest/globals'
import {
  EventStreamParser,
  EventTooLargeError,
  type SkippedEvent,
  type StreamEvent,
} from './event-stream-parser.ts'
import { readEvents } from './read-events.ts'

const BOM = '\ufeff'

function parse(chunks: readonly (string | Uint8Array)[], options: { maxEventBytes?: number } = {}) {
  const events: StreamEvent[] = []
  const comments: string[] = []
  const retries: number[] = []
  const parser = new EventStreamParser({
    onEvent: (event) => events.push(event),
    onComment: (text) => comments.push(text),
    onRetry: (milliseconds) => retries.push(milliseconds),
    ...options,
  })
  for (const chunk of chunks) parser.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  return { events, data: events.map(({ data }) => data), comments, retries, parser }
}

/** Vectors from the web platform tests (eventsource/format-*), each with the data that a browser reports. */
const VECTORS: readonly [name: string, wire: string, data: readonly string[]][] = [
  ['bom', `${BOM}data:1\n\n${BOM}data:2\n\ndata:3\n\n`, ['1', '3']],
  ['bom-2', `${BOM}${BOM}data:1\n\ndata:2\n\ndata:3\n\n`, ['2', '3']],
  [
    'comments',
    `data:1\r:\0\n:\r\ndata:2\n:${'x'.repeat(2048)}\rdata:3\n:data:fail\r:${'x'.repeat(2048)}\ndata:4\n\n`,
    ['1\n2\n3\n4'],
  ],
  ['data-before-final-empty-line', 'retry:1000\ndata:test1\n\nid:test\ndata:test2', ['test1']],
  ['field-data', 'data:\n\ndata\ndata\n\ndata:test\n\n', ['', '\n', 'test']],
  ['field-event-empty', 'event: \ndata:data\n\n', ['data']],
  [
    'field-parsing',
    'data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n',
    ['\0\n 2\n1\n3\n\n4'],
  ],
  [
    'field-unknown',
    'data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n',
    ['test\n\ntest'],
  ],
  ['leading-space', 'data:\ttest\rdata: \ndata:test\n\n', ['\ttest\n\ntest']],
  ['newlines', 'data:test\r\ndata\ndata:test\r\n\r\n', ['test\n\ntest']],
  ['null-character', 'data:\0\n\n\n\n', ['\0']],
  ['utf-8', 'data:ok…\n\n', ['ok…']],
]

describe('EventStreamParser', () => {
  it('tells of an event whose sender puts a space after the colon of data, so that it can be forwarded byte for byte', () => {
    const { events } = parse(['event: a\ndata: x\n\ndata:x\n\ndata:  x\n\ndata\n\nevent: a\ndata:x\n\n'])
    expect(events.map(({ spaced }) => spaced)).toEqual([true, undefined, true, undefined, undefined])
  })

  it('is inside while an event or a line has begun that cannot be forwarded yet, and makes progress when lines end', () => {
    const tooLarge: SkippedEvent[] = []
    const parser = new EventStreamParser({
      maxEventBytes: 10,
      onEvent: () => {},
      onTooLarge: (skipped) => tooLarge.push(skipped),
    })
    const after = (text: string) => {
      const before = parser.progress
      parser.push(Buffer.from(text))
      return [parser.isInside, parser.progress > before]
    }
    expect([
      after(''),
      after(': comm'),
      after('ent'),
      after('\n'),
      after('data: x'),
      after('\n'),
      after('\n'),
      // An event that is too large never makes progress before its end.
      after('data: 123456789\n'),
      after('data: 123456789\n'),
      after(': a comment in it\n'),
      after('\n'),
      // Nor does a comment that is too long to be kept.
      after(`:${'c'.repeat(1_000)}`),
      after('c'),
      after('\n\n'),
      // An event after it is none that is too large.
      after('data:1\n\n'),
    ]).toEqual([
      [false, false],
      [true, false],
      [true, false],
      [false, true],
      [true, false],
      [false, true],
      [false, true],
      [false, true],
      [true, true],
      [true, false],
      [false, true],
      [true, false],
      [true, false],
      [false, true],
      [false, true],
    ])
    expect(tooLarge).toHaveLength(1)
  })

  it.each(VECTORS)(
    'parses the vector %s whole, byte by byte and split in two at any point',
    (_name, wire, data) => {
      const bytes = Buffer.from(wire)
      expect(parse([bytes]).data).toEqual(data)
      expect(parse([...bytes].map((byte) => Uint8Array.of(byte))).data).toEqual(data)
      const step = Math.max(1, Math.floor(bytes.length / 100))
      for (let cut = 1; cut < bytes.length; cut += step)
        expect(parse([bytes.subarray(0, cut), bytes.subarray(cut)]).data).toEqual(data)
    },
  )

  it('reports the type, and no type if the field is empty', () => {
    const { events } = parse(['event:test\ndata:x\n\nevent:\ndata:y\n\nevent:a\nevent:b\ndata:z\n\n'])
    expect(events.map(({ event }) => event)).toEqual(['test', undefined, 'b'])
  })

  it('reports the topic of an event, which ends with the event', () => {
    const events: StreamEvent[] = []
    const parser = new EventStreamParser({ onEvent: (event) => events.push(event) })
    parser.push(Buffer.from('topic: é/1\ndata:1\n\ndata:2\n\ntopic\ndata:3\n\ntopic:a\ntopic:b\ndata:4\n\n'))
    expect(events.map(({ topic }) => topic)).toEqual(['é/1', undefined, undefined, 'b'])
  })

  it('keeps the last ID active, and reports whether the event itself had one', () => {
    const { events } = parse(['id:1\ndata:a\n\ndata:b\n\nid\ndata:c\n\n'])
    expect(events).toEqual([
      { data: 'a', id: '1', lastEventId: '1' },
      { data: 'b', lastEventId: '1' },
      { data: 'c', id: '', lastEventId: '' },
    ])
  })

  it('starts with the ID of the previous connection, which stays active until the next ID', () => {
    const events: StreamEvent[] = []
    const parser = new EventStreamParser({ lastEventId: '7', onEvent: (event) => events.push(event) })
    parser.push(Buffer.from('data:a\n\nid\ndata:b\n\n'))
    expect(events).toEqual([
      { data: 'a', lastEventId: '7' },
      { data: 'b', id: '', lastEventId: '' },
    ])
  })

  it('uses the ID of a block without data, but not of a block without its blank line', () => {
    const { events, parser } = parse(['id:7\n\nid:8\ndata:lost'])
    expect(events).toEqual([])
    expect(parser.lastEventId).toBe('7')
  })

  it('ignores an ID that contains NUL', () => {
    const { events } = parse(['id:1\ndata:a\n\nid: x\0y\ndata:b\n\n'])
    expect(events[1]).toEqual({ data: 'b', lastEventId: '1' })
  })

  it.each([
    ['retry:1500', [1500]],
    ['retry:03000', [3000]],
    ['retry:86400000', [86_400_000]],
    ['retry:86400001', [86_400_000]],
    ['retry:99999999999999999999', [86_400_000]],
    [`retry:${'9'.repeat(400)}`, [86_400_000]],
    ['retry: +5', []],
    ['retry:5 ', []],
    ['retry:3000\nretry:1000x', [3000]],
    ['retry:', []],
    ['retry', []],
    ['retry:-1', []],
    ['retry:1e3', []],
    ['retry:١', []],
  ])('parses %j as the reconnection times %j', (wire, retries) => {
    expect(parse([`${wire}\n\n`]).retries).toEqual(retries)
  })

  it('reports comments', () => {
    expect(parse([':\n\n: hello\n:: \r\n']).comments).toEqual(['', ' hello', ': '])
  })

  it('drops a byte order mark that arrives in three chunks, and keeps an incomplete one', () => {
    const mark = Buffer.from(BOM)
    expect(parse([mark.subarray(0, 1), mark.subarray(1, 2), mark.subarray(2), 'data:1\n\n']).data).toEqual([
      '1',
    ])
    expect(parse([mark.subarray(0, 2), 'data:1\n\ndata:2\n\n']).data).toEqual(['2'])
  })

  it('replaces bytes that are not UTF-8, and joins a character that is split across chunks', () => {
    const [euro, rest] = [Buffer.from('€').subarray(0, 2), Buffer.from('€').subarray(2)]
    expect(parse(['data:', euro, rest, '\n\n']).data).toEqual(['€'])
    expect(parse(['data:', euro, '\ndata:', Uint8Array.of(0xff), '\n\n']).data).toEqual(['\ufffd\n\ufffd'])
  })

  it('accepts an event of exactly the maximum size, byte by byte, in linear time', () => {
    const size = 1024 * 1024
    const one = Buffer.from('x')
    const { events, parser } = parse(['data:'])
    const started = performance.now()
    for (let index = 0; index < size; index += 1) parser.push(one)
    parser.push(Buffer.from('\n\n'))
    expect(events).toEqual([{ data: 'x'.repeat(size), lastEventId: '' }])
    // About 50 ms; copying the line for every byte would take minutes.
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it.each([
    ['in one line without a line break', ['data:', 'x'.repeat(200)]],
    ['in one complete line', [`data:${'x'.repeat(101)}\n`]],
    ['in many lines', [`data:${'x'.repeat(50)}\ndata:${'x'.repeat(50)}\n`]],
    ['in a comment', [`:${'x'.repeat(200)}`]],
    ['in an unknown field', [`${'x'.repeat(200)}\n`]],
  ])('rejects an event over the limit %s, and everything after it', (_where, chunks) => {
    const { parser } = parse([], { maxEventBytes: 100 })
    expect(() =>
      chunks.forEach((chunk) => {
        parser.push(Buffer.from(chunk))
      }),
    ).toThrow('The stream contains an event larger than 100 bytes.')
    expect(() => parser.push(Buffer.from('\n\n'))).toThrow(EventTooLargeError)
  })

  it('counts the bytes of a value, not its characters', () => {
    expect(parse([`data:${'€'.repeat(33)}\n\n`], { maxEventBytes: 99 }).data).toHaveLength(1)
    expect(() => parse([`data:${'€'.repeat(33)}\n\n`], { maxEventBytes: 98 })).toThrow(EventTooLargeError)
  })

  it('does not count heartbeats towards the limit', () => {
    const { parser } = parse([], { maxEventBytes: 100 })
    for (let index = 0; index < 1000; index += 1) parser.push(Buffer.from(':ok\n'))
    expect(parser.lastEventId).toBe('')
  })
})

describe('EventStreamParser with onTooLarge', () => {
  /** Returns what is reported for a stream, in order, with a limit of 100 bytes: data, or what is known of a skipped event. */
  function skim(chunks: readonly Uint8Array[]) {
    const seen: (string | Omit<SkippedEvent, 'maxEventBytes'>)[] = []
    const parser = new EventStreamParser({
      maxEventBytes: 100,
      onEvent: ({ data }) => seen.push(data),
      onTooLarge: ({ maxEventBytes, ...skipped }) => {
        expect(maxEventBytes).toBe(100)
        seen.push(skipped)
      },
    })
    for (const chunk of chunks) parser.push(chunk)
    return { seen, lastEventId: parser.lastEventId }
  }

  const long = (length: number) => 'x'.repeat(length)

  it.each<[where: string, block: string, skipped: Omit<SkippedEvent, 'maxEventBytes'>]>([
    ['in one line', `id:2\ndata:${long(5_000)}\n`, { bytes: 5_011, id: '2', lastEventId: '2' }],
    ['by one byte', `id:2\ndata:${long(101)}\n`, { bytes: 112, id: '2', lastEventId: '2' }],
    ['in many lines', `id:2\ndata:x\n${'data\n'.repeat(200)}`, { bytes: 1_012, id: '2', lastEventId: '2' }],
    ['without an ID', `data:${long(500)}\n`, { bytes: 506, lastEventId: '1' }],
    ['with an ID after its data', `data:${long(500)}\nid:2\n`, { bytes: 511, id: '2', lastEventId: '2' }],
    ['with a topic', `topic:t\ndata:${long(500)}\n`, { bytes: 514, topic: 't', lastEventId: '1' }],
    ['with an ID that is too long', `id:${long(2_000)}\ndata:x\n`, { bytes: 2_011, lastEventId: '1' }],
    ['with an empty ID', `id\ndata:${long(500)}\n`, { bytes: 509, id: '', lastEventId: '' }],
    ['in an unknown field', `${long(2_000)}\ndata:x\nid:2\n`, { bytes: 2_013, id: '2', lastEventId: '2' }],
  ])(
    'skips an event over the limit %s, whole, byte by byte and split in two at any point',
    (_where, block, skipped) => {
      for (const end of ['\n', '\r', '\r\n']) {
        const wire = `id:1\ndata:before\n\n${block}\ndata:${long(100)}\n\nid:3\ndata:after\n\n`
        const bytes = Buffer.from(wire.replaceAll('\n', end))
        const seen = { seen: ['before', skipped, long(100), 'after'], lastEventId: '3' }
        expect(skim([bytes])).toEqual(seen)
        expect(skim(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(seen)
        const step = Math.max(1, Math.floor(bytes.length / 50))
        for (let cut = 1; cut < bytes.length; cut += step)
          expect(skim([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(seen)
      }
    },
  )

  it('reports nothing for an event that was interrupted, and its ID does not count', () => {
    expect(skim([Buffer.from(`id:1\ndata:x\n\nid:2\ndata:${long(5_000)}\n`)])).toEqual({
      seen: ['x'],
      lastEventId: '1',
    })
  })

  it('keeps nothing of an event of 256 MiB, and needs linear time', () => {
    const seen: unknown[] = []
    const parser = new EventStreamParser({
      onEvent: ({ data }) => seen.push(data),
      onTooLarge: ({ bytes }) => seen.push(bytes),
    })
    const chunk = Buffer.alloc(64 * 1024, 'x')
    parser.push(Buffer.from('data:'))
    const before = process.memoryUsage()
    for (let index = 0; index < 4_096; index += 1) parser.push(chunk)
    const after = process.memoryUsage()
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(32 * 1024 * 1024)
    parser.push(Buffer.from('\n\ndata:after\n\n'))
    expect(seen).toEqual([5 + 256 * 1024 * 1024 + 1, 'after'])
  })
})

describe('readEvents', () => {
  it('yields the events of a body and rethrows its error', async () => {
    async function* body() {
      yield Buffer.from('data:1\n\ndata:')
      yield Buffer.from('2\n\n')
      throw new Error('connection reset')
    }
    const data: string[] = []
    await expect(async () => {
      for await (const event of readEvents(body())) data.push(event.data)
    }).rejects.toThrow('connection reset')
    expect(data).toEqual(['1', '2'])
  })
})
