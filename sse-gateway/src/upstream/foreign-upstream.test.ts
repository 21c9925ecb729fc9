import { toHeaderValue } from '@hallpass/event-stream'
import { describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Answer, ClientRequest } from '../testing/stream-client.ts'

/** What a third-party event source can send, and what clients of the gateway receive. */
const gateway = useGateway()
const data = ({ events }: Answer) => events.map((event) => event.data)
const reconnections = () => gateway.upstream.requests.map(({ headers }) => headers['last-event-id'])

describe('an ID of an upstream', () => {
  it.each([
    ['7', '7'],
    ['12-34', '12-34'],
    ['1795316400000', '1795316400000'],
    ['é 漢字 😀', 'é 漢字 😀'],
    ['\u00a0x\u00a0', '\u00a0x\u00a0'],
    ['a\tb', 'a\tb'],
    // A header loses these spaces; the client still sees them.
    [' x', 'x'],
    ['x\t ', 'x'],
  ])('%j reaches the client, which resumes with its header form: %j', async (id, sent) => {
    await gateway.start()
    const live = await gateway.open(await gateway.token())
    gateway.upstream.send(`data:before\n\nid: ${id}\ndata:seen\n\ndata:after\n\n`)
    await live.until(({ events }) => events.length === 3)
    expect(live.events.map((event) => event.id)).toEqual([undefined, id, undefined])
    for (const protocol of ['h2', 'http/1.1'] as const) {
      const headers = { 'last-event-id': toHeaderValue(sent) }
      const back = await gateway.open(await gateway.token(), protocol, headers)
      await back.until(({ events }) => events.length === 1)
      expect(data(back)).toEqual(['after'])
    }
    expect(gateway.upstream.requests).toHaveLength(1)
    // The gateway itself also reconnects with it.
    gateway.upstream.streams[0]?.destroy()
    await gateway.upstream.until(({ requests }) => requests.length === 2)
    expect(reconnections()).toEqual([undefined, toHeaderValue(sent)])
  })

  it.each(['a\u0001b', '\u001b[2J', 'x\u007f'])(
    '%j, which no header can contain, is omitted: the client resumes from the previous ID, and loses nothing',
    async (id) => {
      await gateway.start()
      const live = await gateway.open(await gateway.token())
      gateway.upstream.send(`id:1\ndata:first\n\nid:${id}\ndata:odd\n\nid:3\ndata:last\n\n`)
      await live.until(({ events }) => events.length === 3)
      expect(live.events.map(({ data, lastEventId }) => [data, lastEventId])).toEqual([
        ['first', '1'],
        ['odd', '1'],
        ['last', '3'],
      ])
      const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': '1' })
      await back.until(({ events }) => events.length === 2)
      expect(data(back)).toEqual(['odd', 'last'])
    },
  )

  it('that was used twice is ambiguous: a private replay asks the upstream', async () => {
    await gateway.start()
    const live = await gateway.open(await gateway.token())
    gateway.upstream.send('id:a\ndata:1\n\nid:b\ndata:2\n\nid:a\ndata:3\n\nid:c\ndata:4\n\n')
    await live.until(({ events }) => events.length === 4)
    const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': 'a' })
    gateway.upstream.streams[1]?.write('event:gap\ndata:{}\n\nid:b\ndata:2\n\n')
    await back.until(({ events }) => events.length === 4)
    expect(back.seen).toEqual(['gap:{}', '2', '3', '4'])
    expect(reconnections()).toEqual([undefined, 'a'])
  })

  it('is rejected in a request if no header could contain it', async () => {
    await gateway.start()
    const headers = { authorization: `Bearer ${await gateway.token()}` }
    const ask = async (id: string, request: ClientRequest) =>
      (await gateway.request(`/events?lastEventId=${encodeURIComponent(id)}`, request)).status
    expect([
      await ask('a\u0001', { headers }),
      await ask(' x ', { headers }),
      await ask('\u00a0x', { headers }),
      await ask(' ', { headers }),
    ]).toEqual([400, 200, 200, 200])
    expect(reconnections()).toEqual([undefined, 'x', toHeaderValue('\u00a0x')])
  })
})

describe('an upstream that is lost', () => {
  it.each([
    ['had sent nothing', '', undefined],
    ['sends no IDs', 'data:before\n\n', undefined],
    ['reset its ID', 'id:1\ndata:x\n\nid:\ndata:before\n\n', undefined],
    ['sent an ID that no header can contain', 'id:\u0001\ndata:before\n\n', undefined],
  ])('and %s: clients get one gap event before the next events', async (_what, sent, header) => {
    await gateway.start()
    const live = await gateway.open(await gateway.token())
    gateway.upstream.send(sent)
    if (sent) await live.until(({ events }) => events.at(-1)?.data === 'before')
    const seen = live.events.length
    gateway.upstream.answer = (request, response) => {
      gateway.upstream.stream(request, response)
      response.write('data:after\n\n')
    }
    gateway.upstream.streams[0]?.destroy()
    await live.until(({ events }) => events.at(-1)?.data === 'after')
    expect(live.seen.slice(seen)).toEqual(['gap:{"lastEventId":null,"oldest":null}', 'after'])
    expect(reconnections()).toEqual([undefined, header])
  })

  it('and has sent an ID is asked for later events, each time, without a gap', async () => {
    await gateway.start()
    const live = await gateway.open(await gateway.token())
    gateway.upstream.send('id:1\ndata:1\n\n')
    await live.until(({ events }) => events.length === 1)
    for (const index of [2, 3]) {
      gateway.upstream.streams[0]?.destroy()
      await gateway.upstream.until(
        ({ requests, streams }) => requests.length === index && streams.length === 1,
      )
      gateway.upstream.send(`data:${index}\n\n`)
      await live.until(({ events }) => events.length === index)
    }
    expect([data(live), reconnections()]).toEqual([
      ['1', '2', '3'],
      [undefined, '1', '1'],
    ])
  })
})

describe('an event of an upstream', () => {
  it('cannot imitate the gateway: its type gets a prefix, and the rest is unchanged', async () => {
    await gateway.start()
    const live = await gateway.open(await gateway.token())
    const types = [
      'challenge',
      'end',
      'stream',
      'gap',
      'error',
      'open',
      'message',
      'End',
      ' end',
      'upstream:end',
    ]
    for (const [index, type] of types.entries())
      gateway.upstream.send(`id:${index}\nevent: ${type}\ndata:{"reason":"token_expired"}\n\n`)
    await live.until(({ events }) => events.length === types.length)
    expect(live.events.map(({ event }) => event)).toEqual([
      'upstream:challenge',
      'upstream:end',
      'upstream:stream',
      ...types.slice(3),
    ])
    expect(new Set(data(live))).toEqual(new Set(['{"reason":"token_expired"}']))
    expect(live.events.map(({ id }) => id)).toEqual(types.map((_, index) => `${index}`))
    // The same applies to a private replay.
    const back = await gateway.open(await gateway.token(), 'h2', { 'last-event-id': 'old' })
    gateway.upstream.streams[1]?.write('id:new\nevent:end\ndata:x\n\n')
    await back.until(({ events }) => events.length === 1)
    expect(back.seen).toEqual(['upstream:end:x'])
  })

  it('is not lost because of an unusual field: a retry of any size, NUL in its type', async () => {
    await gateway.start()
    const live = await gateway.open(await gateway.token())
    gateway.upstream.send('retry:99999999999999999999\ndata:1\n\nretry:-1\ndata:2\n\nevent:a\0b\ndata:3\n\n')
    gateway.upstream.send(
      `retry:${'9'.repeat(400)}\nid:4\ndata:4\n\nretry:007\ndata:5\n\nid:a\0b\ndata:6\n\n`,
    )
    await live.until(({ events }) => events.length === 6)
    expect([data(live), live.events.map(({ retry }) => retry)]).toEqual([
      ['1', '2', '3', '4', '5', '6'],
      [86_400_000, undefined, undefined, 86_400_000, 7, undefined],
    ])
    expect(live.events[2]?.event).toBe('a\0b')
  })
})
