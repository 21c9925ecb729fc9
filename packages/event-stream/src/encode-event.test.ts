import { describe, expect, it } from '@jest/globals'
import { EventFieldError, encodeComment, encodeEvent, type OutgoingEvent } from './encode-event.ts'
import { EventStreamParser, type StreamEvent } from './event-stream-parser.ts'

describe('encodeEvent', () => {
  it.each<[OutgoingEvent, string]>([
    [{ data: 'Hello, world' }, 'data:Hello, world\n\n'],
    [
      {
        event: 'challenge',
        data: '{"method":"POST","headers":{"content-type":"application/x-challenge-response"}}',
      },
      'event:challenge\ndata:{"method":"POST","headers":{"content-type":"application/x-challenge-response"}}\n\n',
    ],
    [{ data: '' }, 'data:\n\n'],
    [{ data: 'a\n b', event: 'e', spaced: true }, 'event: e\ndata: a\ndata:  b\n\n'],
    [{ data: 'a\nb\r\nc\rd\n' }, 'data:a\ndata:b\ndata:c\ndata:d\ndata:\n\n'],
    [{ data: ' x\n  y' }, 'data:  x\ndata:   y\n\n'],
    [{ data: '\tx' }, 'data:\tx\n\n'],
    [{ id: '7', event: 'e', data: 'x', retry: 100 }, 'retry:100\nid:7\nevent:e\ndata:x\n\n'],
    [{ id: ' 7', event: ' e', data: '' }, 'id:  7\nevent:  e\ndata:\n\n'],
    [{ id: '', data: 'x' }, 'id:\ndata:x\n\n'],
    [{ event: '', data: 'x' }, 'data:x\n\n'],
    [{ id: '8' }, 'id:8\n\n'],
    [{ retry: 0 }, 'retry:0\n\n'],
    [{ topic: ' t', id: '7', data: 'x', retry: 100 }, 'topic:  t\nretry:100\nid:7\ndata:x\n\n'],
  ])('writes %j', (event, wire) => {
    expect(encodeEvent(event)).toBe(wire)
  })

  it.each<[OutgoingEvent, string]>([
    [{ event: 'a\nb', data: '' }, 'The field event must not contain a line break.'],
    [{ event: 'a\rdata:b', data: '' }, 'The field event must not contain a line break.'],
    [{ id: '1\n\ndata:forged', data: '' }, 'The field id must not contain a line break.'],
    [{ id: '1\0', data: '' }, 'The field id must not contain NUL.'],
    [{ topic: 'a\ndata:b', data: '' }, 'The field topic must not contain a line break.'],
    [{ retry: 1.5 }, 'The field retry must be an integer from 0 to 86400000 (milliseconds).'],
    [{ retry: -1 }, 'The field retry must be an integer from 0 to 86400000 (milliseconds).'],
    [{ retry: 86_400_001 }, 'The field retry must be an integer from 0 to 86400000 (milliseconds).'],
    [{ retry: Number.NaN }, 'The field retry must be an integer from 0 to 86400000 (milliseconds).'],
  ])('rejects %j', (event, message) => {
    expect(() => encodeEvent(event)).toThrow(EventFieldError)
    expect(() => encodeEvent(event)).toThrow(message)
  })

  it('encodes every event that the parser reports, so that a relay loses none', () => {
    const relayed: StreamEvent[] = []
    const parser = new EventStreamParser({ onEvent: (event) => relayed.push(event) })
    const odd = [
      'retry:99999999999999999999\ndata:1\n\n',
      `retry:${'9'.repeat(400)}\ndata:2\n\n`,
      'event:a\0b\ndata:3\n\n',
      'id:\u0001 \ndata:4\n\n',
      'id:a\0b\ndata:5\n\n',
      `event:${'e'.repeat(1000)}\nid:${'i'.repeat(1000)}\ndata:6\n\n`,
      'event:\ufeff\ndata:\0\n\n',
    ]
    parser.push(Buffer.from(odd.join('')))
    expect(relayed).toHaveLength(odd.length)
    const again: StreamEvent[] = []
    const reader = new EventStreamParser({ onEvent: (event) => again.push(event) })
    reader.push(Buffer.from(relayed.map(encodeEvent).join('')))
    expect(again).toEqual(relayed)
  })

  it('writes strings that the parser reads back unchanged', () => {
    const pieces = ['', ' ', '  ', ':', 'data:', '\t', '\n', 'é', '😀', '\ufeff', '\0', 'id: 1', '{"a":"}"}']
    let seed = 1
    const pick = () => {
      seed = (seed * 48271) % 2147483647
      return pieces[seed % pieces.length] as string
    }
    const sent = Array.from({ length: 500 }, (_, index) => ({
      id: `${index}`,
      data: pick() + pick() + pick(),
    }))
    const received: StreamEvent[] = []
    const parser = new EventStreamParser({ onEvent: (event) => received.push(event) })
    parser.push(Buffer.from(sent.map(encodeEvent).join(encodeComment('beat'))))
    expect(received.map(({ id, data }) => ({ id, data }))).toEqual(sent)
  })
})

describe('encodeComment', () => {
  it('writes a comment that cannot become a field', () => {
    expect(encodeComment()).toBe(':\n\n')
    expect(encodeComment(' ok\ndata:forged\r\n')).toBe(': ok\n:data:forged\n:\n\n')
  })
})
