import { silentLog } from '@hallpass/service-kit'
import { useService } from '@hallpass/service-kit/testing'
import { afterEach, describe, expect, it } from '@jest/globals'
import { createApp, loadConfig } from '../app.ts'
import { openStream, type StreamReader, sendTcp } from '../testing/stream-reader.ts'

const config = (env: Record<string, string> = {}) => loadConfig({ HTTP_PORT: '0', TCP_PORT: '0', ...env })

const readers: StreamReader[] = []
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close()
})

async function post(url: string, body: unknown) {
  const answer = await fetch(`${url}/publish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

const error = (status: number, code: string, message: string) => ({
  status,
  body: { error: { code, message } },
})

describe('POST /publish', () => {
  const server = useService(() => createApp(config(), silentLog))
  const listen = async (path = '') => {
    const reader = await openStream(server.url() + path)
    readers.push(reader)
    return reader
  }
  const conflict = (id: string, where = '') =>
    error(
      409,
      'id_conflict',
      `${where}id "${id}" is stored with other content. Give other content another id; to repeat a publication, send the same content.`,
    )

  it('answers a repeated publication with its ID again and streams it once, over HTTP and TCP', async () => {
    const reader = await listen()
    for (let time = 0; time < 3; time += 1)
      expect(await post(server.url(), { id: 'r-1', data: { a: 1 } })).toEqual({
        status: 202,
        body: { id: 'r-1' },
      })
    expect(await sendTcp(server.url('tcp'), '{"data":"{\\"a\\":1}","id":"r-1"}{"data":"last"}')).toBe('')
    await reader.until(({ events }) => events.at(-1)?.data === 'last')
    expect(reader.data()).toEqual(['{"a":1}', 'last'])
  })

  it('rejects other content under the same ID, over HTTP and TCP, and continues', async () => {
    const reader = await listen()
    await post(server.url(), { id: 'c-1', data: 'a' })
    expect(await post(server.url(), { id: 'c-1', data: 'b' })).toEqual(conflict('c-1'))
    expect(JSON.parse(await sendTcp(server.url('tcp'), '{"id":"c-1","data":"b"}{"data":"last"}'))).toEqual(
      conflict('c-1').body,
    )
    await reader.until(({ events }) => events.at(-1)?.data === 'last')
    expect(reader.data()).toEqual(['a', 'last'])
  })

  it('publishes a batch in order and answers with the IDs', async () => {
    const reader = await listen('/events?topic=*')
    const { status, body } = await post(
      server.url(),
      ' \n[{"data":18446744073709551615},{"id":"b-1","data":"x"},{"topic":"t","data":{}},{"id":"b-1","data":"x"}]\n',
    )
    const position = expect.stringMatching(/^\d+-\d+$/)
    expect([status, body]).toEqual([202, { ids: [position, 'b-1', position, 'b-1'] }])
    await reader.until(({ events }) => events.length === 3)
    expect(reader.data()).toEqual(['18446744073709551615', 'x', '{}'])
    expect(reader.events.map(({ id }) => id)).toEqual((body.ids as string[]).slice(0, 3))
  })

  it('accepts the largest batch', async () => {
    const { status, body } = await post(
      server.url(),
      Array.from({ length: 1_000 }, (_, data) => ({ data })),
    )
    expect([status, new Set(body.ids as string[]).size]).toEqual([202, 1_000])
  })

  it.each([
    ['no object', '[]', error(400, 'empty_batch', 'The array must contain at least one object.')],
    [
      'too many',
      Array(1_001).fill({ data: 1 }),
      error(413, 'batch_too_large', 'The array has 1001 objects. At most 1000 are allowed.'),
    ],
    [
      'too many bytes',
      `[{"data":1}${' '.repeat(2 * 1024 * 1024)}]`,
      error(
        413,
        'batch_too_large',
        'The array is larger than 2097152 bytes. Send at most 1000 objects, and fewer if they are large.',
      ),
    ],
    ['an array that is cut', '[{"data":1},', error(400, 'malformed_json', 'The array is not valid JSON.')],
    ['two arrays', '[{"data":1}][{"data":2}]', error(400, 'malformed_json', 'The array is not valid JSON.')],
    [
      'bytes that are not UTF-8',
      Buffer.from('[{"data":"\xff"}]', 'latin1'),
      error(400, 'malformed_json', 'The array is not valid UTF-8.'),
    ],
    [
      'a member twice',
      '[{"data":1},{"data":{"a":1,"a":2}}]',
      error(400, 'duplicate_member', 'Member [1].data.a occurs twice; send it once.'),
    ],
    [
      'an object that is too deep',
      `[{"data":${'['.repeat(64)}${']'.repeat(64)}}]`,
      error(400, 'object_too_deep', 'An object of the array nests deeper than 64 levels.'),
    ],
    ...['5', '1e400', '"x"', 'null', '[]'].map(
      (item) =>
        [
          `the item ${item}`,
          `[{"data":1},${item}]`,
          error(
            400,
            'not_an_object',
            '[1]: A publication must be a JSON object, for example {"data": "Hello"}.',
          ),
        ] as const,
    ),
    [
      'an empty publication',
      [{ data: 1 }, { data: 2 }, {}],
      error(400, 'empty_publication', '[2]: A publication needs data, event, id or retry.'),
    ],
    [
      'a reserved ID',
      [{ data: 1, id: '1-2' }],
      error(
        400,
        'reserved_id',
        '[0]: id "1-2" is reserved: this log uses the form number-number for its own positions. Add a prefix, or omit the id.',
      ),
    ],
    [
      'an event that is too large',
      [{ data: 1 }, { data: '\n'.repeat(200_000) }],
      error(
        413,
        'event_too_large',
        '[1]: The event has 1200007 bytes, with data: before each line of its data. At most 1048576 are allowed, because readers accept no more.',
      ),
    ],
    [
      'one ID with two contents',
      [
        { data: 1, id: 'x' },
        { data: 2, id: 'x' },
      ],
      conflict('x', '[1]: '),
    ],
    ['a stored ID with other content', [{ data: 1 }, { data: 2, id: 'taken' }], conflict('taken', '[1]: ')],
  ])('publishes nothing of a batch with %s', async (_what, body, answer) => {
    await post(server.url(), { id: 'taken', data: 'x' })
    const reader = await listen()
    expect(await post(server.url(), body)).toEqual(answer)
    await post(server.url(), { data: 'last' })
    await reader.until(({ events }) => events.length > 0)
    expect(reader.data()).toEqual(['last'])
  })
})

it('does not clear the log within a batch', async () => {
  const service = createApp(config({ CONTROL_NAMES: 'true' }), silentLog)
  const { http = '' } = await service.start()
  expect(await post(http, [{ data: 1 }, { name: 'clear' }])).toEqual(
    error(400, 'bad_member', '[1]: clear empties the log, so it cannot be part of a batch.'),
  )
  expect(await post(http, [{ data: 1, id: 'a' }])).toEqual({ status: 202, body: { ids: ['a'] } })
  await service.stop()
})
