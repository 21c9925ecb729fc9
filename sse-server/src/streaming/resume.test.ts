import { toHeaderValue } from '@hallpass/event-stream'
import { silentLog } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createApp, loadConfig } from '../app.ts'
import { openStream, type StreamReader, sendTcp } from '../testing/stream-reader.ts'

const RESUMED = [
  '7',
  '0',
  '-1',
  '1795316400000',
  '9999999999999999',
  '99999999999999999999',
  '1-2-3',
  '2026-11-29',
  '12-',
  '-34',
  'order 7',
  'a:b',
  ': x',
  'data:x',
  'a,b',
  '"7"',
  '%20',
  'é',
  'Ã©',
  'x\u00a0y',
  '漢字',
  '😀',
  'x\u200b',
  'é'.repeat(127),
]
const REFUSED = [
  ['12-34', 'reserved_id'],
  ['1795316400000-0', 'reserved_id'],
  ['0-0', 'reserved_id'],
  ['', 'bad_member'],
  [' x', 'bad_member'],
  ['x ', 'bad_member'],
  ['\t', 'bad_member'],
  ['\u00a0x', 'bad_member'],
  ['x\u00a0', 'bad_member'],
  ['\ufeffx', 'bad_member'],
  ['a\u0000', 'bad_member'],
  ['a\u0001', 'bad_member'],
  ['a\nid:b', 'bad_member'],
  ['a\u001b[2J', 'bad_member'],
  ['a\u0085', 'bad_member'],
  ['\ud800', 'bad_member'],
  [`${'é'.repeat(127)}x`, 'bad_member'],
  [{}, 'bad_member'],
] as const

describe('a publisher’s ID', () => {
  const server = useService(() =>
    createApp(loadConfig({ HTTP_PORT: '0', TCP_PORT: '0', HOST: '127.0.0.1' }), silentLog),
  )
  const readers: StreamReader[] = []
  afterEach(() => {
    for (const reader of readers.splice(0)) reader.close()
  })
  async function listen(path: string, headers: Record<string, string> = {}) {
    const reader = await openStream(server.url() + path, headers)
    readers.push(reader)
    return reader
  }
  const overHttp = async (object: unknown) => {
    const answer = await fetch(`${server.url()}/publish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(object),
    })
    return { status: answer.status, body: (await answer.json()) as { id?: string; error?: object } }
  }
  const data = ({ events }: StreamReader) => events.map(({ event, data }) => (event === 'gap' ? 'gap' : data))
  let topics = 0

  it.each(RESUMED)(
    '%j is accepted, and a client that reconnects with it gets the later events',
    async (id) => {
      const topic = `t${topics++}`
      const live = await listen(`/topics/${topic}`)
      await overHttp({ topic, data: 'before' })
      expect(await overHttp({ topic, id, data: 'seen' })).toEqual({ status: 202, body: { id } })
      await live.until(({ events }) => events.length === 2)
      const lastEventId = live.events[1]?.lastEventId as string
      expect(lastEventId).toBe(id)
      expect(await sendTcp(server.url('tcp'), JSON.stringify({ topic, data: 'after' }))).toBe('')
      for (const reader of [
        await listen(`/topics/${topic}`, { 'last-event-id': toHeaderValue(lastEventId) }),
        await listen(`/topics/${topic}?lastEventId=${encodeURIComponent(lastEventId)}`),
      ]) {
        await reader.until(({ events }) => events.at(-1)?.data === 'after')
        expect(data(reader)).toEqual(['after'])
      }
    },
  )

  it('the response header last-event-id is the requested ID, or earliest if events may be missing', async () => {
    await overHttp({ topic: 'header', id: 'é', data: 'seen' })
    const header = async (headers: Record<string, string>, method = 'GET') => {
      const controller = new AbortController()
      const url = `${server.url()}/topics/header`
      const answer = await fetch(url, { method, headers, signal: controller.signal })
      controller.abort()
      expect(answer.headers.get('access-control-expose-headers')).toBe('last-event-id')
      return answer.headers.get('last-event-id')
    }
    const known = toHeaderValue('é')
    expect(await header({ 'last-event-id': known })).toBe(known)
    expect(await header({ 'last-event-id': 'unknown' })).toBe('earliest')
    expect(await header({ 'last-event-id': 'unknown' }, 'HEAD')).toBe('earliest')
    expect(await header({})).toBeNull()
  })

  it.each(REFUSED)('%j is rejected over HTTP and TCP, by name, with %s', async (id, code) => {
    const { status, body } = await overHttp({ id, data: 'x' })
    expect([status, body]).toEqual([
      400,
      { error: { code, message: expect.stringMatching(/^id .+ is (not valid|reserved): /s) } },
    ])
    const answer = await sendTcp(server.url('tcp'), JSON.stringify({ id, data: 'x' }))
    expect(JSON.parse(answer)).toEqual({ error: (body as { error: unknown }).error })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would interpret them.
    expect((body.error as { message: string }).message).not.toMatch(/[\0-\x1f\x7f-\x9f]/)
  })

  it('never loses events silently, wherever a client is disconnected', async () => {
    const ids = [undefined, 'a', 'b', '5', '17', undefined, '102', 'a', undefined, 'é', '5']
    // Two topics can use the same IDs, which are then ambiguous for a client of both.
    const path = '/events?topic=one&topic=other'
    const live = await listen(path)
    for (const [index, id] of ids.entries())
      await overHttp({ topic: ids.indexOf(id) === index ? 'one' : 'other', id, data: `${index}` })
    await live.until(({ events }) => events.length === ids.length)
    for (const [index, { lastEventId }] of live.events.entries()) {
      const reader = await listen(path, { 'last-event-id': toHeaderValue(lastEventId) })
      const later = ids.map((_, at) => `${at}`).slice(index + 1)
      const repeated = lastEventId === 'a' || lastEventId === '5'
      const expected = repeated ? ['gap', ...ids.map((_, at) => `${at}`)] : later
      if (expected.length > 0) await reader.until(({ events }) => events.length === expected.length)
      expect([lastEventId, data(reader)]).toEqual([lastEventId, expected])
    }
  })

  it('is distinguished from IDs of other servers and clients, which cause a gap and a full replay', async () => {
    await overHttp({ topic: 'made-up', data: 'held' })
    for (const id of ['00', '0-0', '1-0', '9999999999999999-9', '99999999999999-0', 'never']) {
      const reader = await listen('/topics/made-up', { 'last-event-id': id })
      await reader.until(({ events }) => events.length === 2)
      expect(data(reader)).toEqual(['gap', 'held'])
    }
  })
})
