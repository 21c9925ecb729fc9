import { once } from 'node:events'
import http from 'node:http'
import { text } from 'node:stream/consumers'
import { silentLog } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createApp } from './app.ts'
import { loadConfig } from './config.ts'
import { openStream, type StreamReader, sendTcp } from './testing/stream-reader.ts'

const config = (env: Record<string, string> = {}) =>
  loadConfig({ HTTP_PORT: '0', TCP_PORT: '0', HOST: '127.0.0.1', ...env })

const readers: StreamReader[] = []
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close()
})

async function listen(url: string, headers: Record<string, string> = {}) {
  const reader = await openStream(url, headers)
  readers.push(reader)
  return reader
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${url}/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  })

describe('the SSE server', () => {
  const server = useService(() => createApp(config(), silentLog))
  const publish = (...pieces: readonly string[]) => sendTcp(server.url('tcp'), ...pieces)

  it('S05 sends the response headers immediately, before the first event', async () => {
    const reader = await listen(`${server.url()}/events`)
    expect(reader.response.statusCode).toBe(200)
    expect(reader.response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'access-control-allow-origin': '*',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
    })
    await reader.until(({ retries }) => retries[0] === 2000)
    expect(reader.events).toEqual([])
  })

  it('S01 streams what the documented command publishes, byte for byte except for the ID', async () => {
    const reader = await listen(`${server.url()}/events`)
    expect(await publish('{ "data": "Hello, world" }\n')).toBe('')
    await reader.until(({ events }) => events.length === 1)
    expect(reader.text).toMatch(/^retry:2000\n\nid:\d+-\d+\ndata:Hello, world\n\n$/)
  })

  it('S01 accepts joined, split and pretty-printed objects, and continues after an invalid line', async () => {
    const reader = await listen(server.url())
    expect(await publish('{"data":"a"}{"data":"b"}\n', '{"da', 'ta":"c', '}"}\r\n{\n  "data": "$&"\n}')).toBe(
      '',
    )
    const answer = await publish('hello\n{"data":"oops\n{"name":"a\\nb"}\n{"data":"d"}\n')
    expect(
      answer
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).error),
    ).toEqual([
      {
        code: 'not_an_object',
        message: 'A publication must be a JSON object, for example {"data": "Hello"}.',
      },
      { code: 'malformed_json', message: 'The object is not valid JSON.' },
      {
        code: 'bad_member',
        message:
          'name "a\\nb" is not valid: it must be a string of at most 254 bytes without line breaks, NUL or lone surrogates.',
      },
    ])
    await reader.until(({ events }) => events.length === 5)
    expect(reader.data()).toEqual(['a', 'b', 'c}', '$&', 'd'])
  })

  it('S01 does not mix objects of publishers that send at the same time', async () => {
    const reader = await listen(server.url())
    const halves = ['{"data":', '"x', 'y"', '}'] as const
    expect(await Promise.all(Array.from({ length: 8 }, () => publish(...halves)))).toEqual(Array(8).fill(''))
    await reader.until(({ events }) => events.length === 8)
    expect(new Set(reader.data())).toEqual(new Set(['xy']))
  })

  it('S02 streams strings unchanged and other values as compact JSON', async () => {
    const reader = await listen(server.url())
    await publish(
      JSON.stringify({ name: 'event name', data: { id: 1, name: 'Hello World!' } }),
      JSON.stringify({ data: 'a\nb' }),
      '{"data":5}{"data":""}{"name":"n"}{"id":"7","event":"e","data":" x","retry":100}',
    )
    await reader.until(({ events }) => events.length === 6)
    expect(reader.text.replaceAll(/^id:\d+-\d+\n/gm, '')).toBe(
      'retry:2000\n\nevent:event name\ndata:{"id":1,"name":"Hello World!"}\n\ndata:a\ndata:b\n\n' +
        'data:5\n\ndata:\n\nevent:n\ndata:\n\nretry:100\nid:7\nevent:e\ndata:  x\n\n',
    )
  })

  it('S03 streams to every client, on any path', async () => {
    const paths = ['/', '/events', '/any/other?x=1']
    const all = await Promise.all(paths.map((path) => listen(server.url() + path)))
    await publish('{"data":"all"}')
    for (const reader of all) await reader.until(({ events }) => events.length === 1)
  })

  it('S04 replays earlier events, by Last-Event-ID in the header or in the query', async () => {
    const { id } = (await (await post(server.url(), { data: 'first' })).json()) as { id: string }
    await publish('{"id":"chosen-é","data":"second"}{"data":"third"}')
    const fromHeader = await listen(`${server.url()}/events?lastEventId=0`, { 'last-event-id': id })
    await fromHeader.until(({ events }) => events.length === 2)
    expect(fromHeader.data()).toEqual(['second', 'third'])
    const fromQuery = await listen(`${server.url()}/events?lastEventId=chosen-%C3%A9`)
    await fromQuery.until(({ events }) => events.length === 1)
    expect(fromQuery.data()).toEqual(['third'])
    const utf8 = Buffer.from('chosen-é').toString('latin1')
    const fromBrowser = await listen(`${server.url()}/events`, { 'last-event-id': utf8 })
    await fromBrowser.until(({ events }) => events.length === 1)
    await publish('{"data":"live"}')
    for (const reader of [fromHeader, fromQuery, fromBrowser])
      await reader.until(({ events }) => events.at(-1)?.data === 'live')
  })

  it('S04 sends a gap and all stored events to a client whose ID is too old or unknown', async () => {
    await publish('{"data":"kept"}')
    const reader = await listen(`${server.url()}/events?lastEventId=1234-0`)
    await reader.until(({ events }) => events.at(-1)?.data === 'kept')
    expect(reader.events[0]?.event).toBe('gap')
    expect(JSON.parse(reader.events[0]?.data ?? '')).toEqual({
      lastEventId: '1234-0',
      oldest: expect.stringMatching(/^\d+-\d+$/),
    })
  })

  it('streams a topic only to clients that requested it or all topics', async () => {
    const news = await listen(`${server.url()}/topics/news`)
    const both = await listen(`${server.url()}/events?topic=news&topic=sport`)
    const all = await listen(`${server.url()}/events?topic=*`)
    const plain = await listen(server.url())
    await publish(
      '{"topic":"news","data":"1"}{"topic":"sport","data":"2"}{"data":"3"}{"topic":"news","data":"4"}',
    )
    await news.until(({ events }) => events.length === 2)
    await both.until(({ events }) => events.length === 3)
    await all.until(({ events }) => events.length === 4)
    await plain.until(({ events }) => events.length === 1)
    expect(plain.data()).toEqual(['3'])
    expect(news.data()).toEqual(['1', '4'])
    expect(both.data()).toEqual(['1', '2', '4'])
    const replayed = await listen(`${server.url()}/topics/news`, {
      'last-event-id': news.events[0]?.id as string,
    })
    await replayed.until(({ events }) => events.length === 1)
    expect(replayed.data()).toEqual(['4'])
  })

  it('sends the topic of each event to those that request it, live and in replays', async () => {
    const labelled = await listen(`${server.url()}/events?topic=*&fields=topic`)
    const news = await listen(`${server.url()}/topics/news?fields=topic`)
    const plain = await listen(`${server.url()}/events?topic=*`)
    await publish('{"topic":"news","data":"1","id":"a"}{"data":"2","id":"b"}')
    for (const stream of [labelled, plain]) await stream.until(({ events }) => events.length === 2)
    await news.until(({ events }) => events.length === 1)
    expect(labelled.text).toBe('retry:2000\n\ntopic:news\nid:a\ndata:1\n\nid:b\ndata:2\n\n')
    expect(news.text).toBe('retry:2000\n\ntopic:news\nid:a\ndata:1\n\n')
    expect(plain.text).toBe('retry:2000\n\nid:a\ndata:1\n\nid:b\ndata:2\n\n')
    const replayed = await listen(`${server.url()}/events?topic=*&fields=topic&lastEventId=0-0`)
    await replayed.until(({ events }) => events.length >= 3)
    expect(replayed.text).toContain('topic:news\nid:a\ndata:1\n\nid:b\ndata:2\n\n')
    const fields = [labelled, plain].map(({ response }) => response.headers['event-fields'])
    expect(fields).toEqual(['topic', undefined])
  })

  it('refuses a field that it does not have', async () => {
    for (const query of ['fields=topics', 'fields=', 'fields=topic&fields=id']) {
      const answer = await fetch(`${server.url()}/events?${query}`)
      expect([answer.status, await answer.json()]).toEqual([
        400,
        { error: { code: 'unknown_field', message: 'The parameter fields can only be topic.' } },
      ])
    }
  })

  it('answers HEAD without a body, preflights, and other methods with 405', async () => {
    const head = await fetch(`${server.url()}/events`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    const preflight = await fetch(`${server.url()}/events`, { method: 'OPTIONS' })
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([
      204,
      'last-event-id, cache-control, authorization',
    ])
    const other = await fetch(`${server.url()}/events`, { method: 'DELETE' })
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
  })

  it('publishes over HTTP and answers 202 with the ID', async () => {
    const reader = await listen(server.url())
    const answer = await post(server.url(), { data: { a: 1 } })
    expect(answer.status).toBe(202)
    const { id } = (await answer.json()) as { id: string }
    await reader.until(({ events }) => events.length === 1)
    expect(reader.events[0]).toEqual({ data: '{"a":1}', id, lastEventId: id })
  })

  it('S02 changes no number of an event, over TCP or HTTP', async () => {
    const data = '{"id":9007199254740993,"max":18446744073709551615,"n":[1e400,1e-400,-0,1.0,0.1]}'
    const reader = await listen(server.url())
    await publish(`{"data":${data}}{"id":9007199254740993,"data":1e400}`)
    expect((await post(server.url(), `{"data":${data}}`)).status).toBe(202)
    await reader.until(({ events }) => events.length === 3)
    expect(reader.events.map((event) => event.data)).toEqual([data, '1e400', data])
    expect(reader.events[1]?.id).toBe('9007199254740993')
  })

  it.each([
    ['malformed', '{"data":', 400, 'object_cut'],
    ['a number', '5', 400, 'not_an_object'],
    ['two objects', '{"data":1}{"data":2}', 400, 'not_one_object'],
    ['nothing', '', 400, 'not_one_object'],
    ['an empty publication', '{}', 400, 'empty_publication'],
    ['a member twice', '{"data":{"a":1,"a":2}}', 400, 'duplicate_member'],
    ['an invalid ID', '{"id":"\\n","data":1}', 400, 'bad_member'],
    ['bytes that are not UTF-8', Buffer.from('{"data":"\xff"}', 'latin1'), 400, 'malformed_json'],
    ['an object of more than 1 MiB', `{"data":"${'x'.repeat(1024 * 1024)}"}`, 413, 'object_too_large'],
    ['3 MiB of white space', ' '.repeat(3 * 1024 * 1024), 413, 'object_too_large'],
  ])('rejects %s over HTTP', async (_what, body, status, code) => {
    const answer = await post(server.url(), body)
    expect([answer.status, ((await answer.json()) as { error: { code: string } }).error.code]).toEqual([
      status,
      code,
    ])
  })

  it('rejects an object that becomes a larger event than readers accept, over HTTP and TCP, and continues', async () => {
    const reader = await listen(server.url())
    // 400 KB with two bytes for each line break, which is seven as a field.
    const grows = `{"data":"${'\\n'.repeat(200_000)}"}`
    const error = {
      code: 'event_too_large',
      message:
        'The event has 1200007 bytes, with data: before each line of its data. At most 1048576 are allowed, because readers accept no more.',
    }
    const answer = await post(server.url(), grows)
    expect([answer.status, await answer.json()]).toEqual([413, { error }])
    expect(JSON.parse(await publish(`${grows}{"data":"after"}`))).toEqual({ error })
    await reader.until(({ events }) => events.length === 1)
    expect(reader.events[0]?.data).toBe('after')
  })

  it('rejects publications of web pages: by a form, by a name that resolves to this machine, on the TCP port', async () => {
    const form = await post(server.url(), '{"data":"x"}', { 'content-type': 'text/plain' })
    expect([form.status, await form.json()]).toEqual([
      400,
      { error: { code: 'wrong_content_type', message: 'The body must be application/json.' } },
    ])
    const rebound = http.request(`${server.url()}/publish`, {
      method: 'POST',
      headers: { host: 'evil.example', 'content-type': 'application/json' },
    })
    const [answer] = await once(rebound.end('{"data":"forged"}'), 'response')
    expect([answer.statusCode, await text(answer)]).toEqual([
      403,
      expect.stringContaining('"foreign_host","message":"In development, this service'),
    ])
    const overTcp = await publish(`POST / HTTP/1.1\r\nHost: localhost\r\n\r\n{"data":"forged"}`)
    expect(JSON.parse(overTcp).error.code).toBe('not_http')
  })

  it('counts clients, events and bytes', async () => {
    await listen(server.url())
    const figures = await (await fetch(`${server.url()}/metrics`)).text()
    for (const name of [
      'sse_clients',
      'sse_events_total',
      'sse_sent_bytes_total',
      'sse_ring_events',
      'sse_ring_bytes',
    ])
      expect(figures).toMatch(new RegExp(`^${name}\\{service="sse-server"\\} [1-9]`, 'm'))
  })
})

describe('an SSE server that stops', () => {
  it('ends its streams cleanly and closes both ports', async () => {
    const service = createApp(config(), silentLog)
    const urls = await service.start()
    const reader = await listen(urls.http as string)
    await service.stop()
    await reader.until(({ ended }) => ended !== 'no')
    expect(reader.ended).toBe('cleanly')
    await expect(sendTcp(urls.tcp as string, '{}')).rejects.toThrow('ECONNREFUSED')
    await expect(openStream(urls.http as string)).rejects.toThrow('ECONNREFUSED')
  })

  it('sends a gap to a client that reconnects after a restart', async () => {
    const first = createApp(config(), silentLog)
    const { http } = await first.start()
    const { id } = (await (await post(http as string, { data: 'lost' })).json()) as { id: string }
    await first.stop()
    const second = createApp(config(), silentLog)
    const urls = await second.start()
    const reader = await listen(urls.http as string, { 'last-event-id': id })
    await reader.until(({ events }) => events.length === 1)
    expect(reader.events[0]).toMatchObject({
      event: 'gap',
      data: JSON.stringify({ lastEventId: id, oldest: null }),
    })
    await second.stop()
  })
})
