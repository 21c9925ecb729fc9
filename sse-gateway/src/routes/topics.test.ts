import { beforeEach, describe, expect, it } from '@jest/globals'
import { useGateway } from '../testing/gateway.ts'
import type { Answer } from '../testing/stream-client.ts'

const gateway = useGateway()
const TOPICS = { TOPICS_CLAIM: 'sse' }

beforeEach(() => {
  gateway.upstream.answer = (request, response) => {
    response.setHeader('event-fields', 'topic')
    gateway.upstream.stream(request, response)
  }
})

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

async function ask(query: string, claims: Readonly<Record<string, unknown>>, headers = {}): Promise<Answer> {
  const token = await gateway.token(claims)
  return gateway.request(`/events${query}`, { headers: { ...bearer(token), ...headers } })
}

const topicQuery = (...topics: string[]) =>
  `?${topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join('&')}`

async function openWith(subscribe: readonly string[], ...topics: string[]): Promise<Answer> {
  const answer = await ask(topics.length === 0 ? '' : topicQuery(...topics), { sse: { subscribe } })
  expect([answer.status, answer.text]).toEqual([200, ''])
  return answer
}

/** Sends one event for each topic, with the topic as its data; the last one, without a topic, goes to everybody. */
function publish(...topics: string[]) {
  gateway.upstream.send(`${topics.map((topic) => `topic:${topic}\ndata:${topic}\n\n`).join('')}data:end\n\n`)
}

/** Returns what a stream has got when it has the last event. */
async function seenBy(answer: Answer): Promise<string[]> {
  await answer.until(({ seen }) => seen.at(-1) === 'end')
  return answer.seen.slice(0, -1)
}

const forbidden = (selector: string) => ({
  error: {
    code: 'topic_forbidden',
    message: `The token is not allowed to read the topic ${JSON.stringify(selector)}: its claim sse.subscribe must cover it.`,
  },
})

describe('a path with topics', () => {
  it('asks its upstream for all topics and for the topic of each event, and forwards no topic', async () => {
    await gateway.start(TOPICS)
    const stream = await openWith(['*'])
    await gateway.upstream.until(({ streams }) => streams.length === 1)
    expect(gateway.upstream.requests.map(({ url }) => url)).toEqual(['/events?topic=*&fields=topic'])
    publish('a')
    expect(await seenBy(stream)).toEqual(['a'])
    expect(stream.text).toBe('data:a\n\ndata:end\n\n')
  })

  it('keeps the topics of its own upstream URL', async () => {
    await gateway.start({ ...TOPICS, UPSTREAM_URL: `${gateway.upstream.url}?topic=orders&x=1` })
    await openWith(['*'])
    expect(gateway.upstream.requests.map(({ url }) => url)).toEqual(['/events?topic=orders&x=1&fields=topic'])
  })

  it.each([undefined, 'id', 'topics'])(
    'opens no stream if the upstream confirms %s instead of the topics: private events would be public',
    async (fields) => {
      gateway.upstream.answer = (request, response) => {
        if (fields !== undefined) response.setHeader('event-fields', fields)
        gateway.upstream.stream(request, response)
      }
      await gateway.start(TOPICS)
      const answer = await ask('', {})
      expect([answer.status, answer.json]).toEqual([
        502,
        {
          error: {
            code: 'upstream_without_topics',
            message:
              'The upstream does not tell the topic of each event: its response lacks event-fields: topic.',
          },
        },
      ])
    },
  )

  it('sends each client the events of its topics, those without a topic to all', async () => {
    await gateway.start(TOPICS)
    const streams = [
      await openWith([]),
      await openWith(['orders/7']),
      await openWith(['orders/{id}', 'news']),
      await openWith(['*']),
      await openWith(['orders/{id}', 'news'], 'orders/8', 'news'),
      await openWith(['*'], 'orders/{id}'),
      await ask('', {}),
    ]
    publish('orders/7', 'orders/8', 'news', 'orders/7/lines')
    expect(await Promise.all(streams.map(seenBy))).toEqual([
      [],
      ['orders/7'],
      ['orders/7', 'orders/8', 'news'],
      ['orders/7', 'orders/8', 'news', 'orders/7/lines'],
      ['orders/8', 'news'],
      ['orders/7', 'orders/8'],
      [],
    ])
  })

  it('sends a gap in place of a large event only to the clients of its topic', async () => {
    await gateway.start({ ...TOPICS, MAX_EVENT_BYTES: '10' })
    const [mine, other] = [await openWith(['mine']), await openWith(['other'])]
    gateway.upstream.send(`topic:mine\nid:1\ndata:${'x'.repeat(20)}\n\n`)
    publish()
    expect(await seenBy(mine)).toEqual(['gap:{"lastEventId":null,"oldest":null}'])
    expect(await seenBy(other)).toEqual([])
  })

  it.each([
    ['orders/8', ['orders/7'], 'orders/8'],
    ['orders/{id}', ['orders/7'], 'orders/{id}'],
    ['*', ['orders/{id}'], '*'],
    ['orders/7', [], 'orders/7'],
  ])('refuses ?topic=%s for a token that reads %j', async (topic, subscribe, missing) => {
    await gateway.start(TOPICS)
    const answer = await ask(topicQuery('news', topic), { sse: { subscribe: ['news', ...subscribe] } })
    expect([answer.status, answer.json]).toEqual([403, forbidden(missing)])
    expect(answer.headers['www-authenticate']).toMatch(
      /^Bearer realm="sse-gateway", error="insufficient_scope", resource_metadata="[^"]+\/events"$/,
    )
    expect(answer.headers['access-control-allow-origin']).toBe('*')
    expect(gateway.upstream.requests).toHaveLength(0)
  })

  it.each([
    ['', 'invalid_topic', '"" is not a topic selector: it is empty.'],
    [
      'a*',
      'invalid_topic',
      '"a*" is not a topic selector: * selects all topics only on its own; one segment is {name}.',
    ],
    [
      'x'.repeat(255),
      'invalid_topic',
      `"${'x'.repeat(254)}…" is not a topic selector: it has more than 254 bytes.`,
    ],
  ])('refuses the topic %j', async (topic, code, message) => {
    await gateway.start(TOPICS)
    const answer = await ask(topicQuery(topic), { sse: { subscribe: ['*'] } })
    expect([answer.status, answer.json]).toEqual([400, { error: { code, message } }])
  })

  it('refuses more topics than a token may have', async () => {
    await gateway.start(TOPICS)
    const topics = Array.from({ length: 101 }, (_, index) => `${index}`)
    const answer = await ask(topicQuery(...topics), { sse: { subscribe: ['*'] } })
    const error = { code: 'too_many_topics', message: 'A stream can have at most 100 topics.' }
    expect([answer.status, answer.json]).toEqual([400, { error }])
    expect((await ask(topicQuery(...topics.slice(1)), { sse: { subscribe: ['*'] } })).status).toBe(200)
  })

  const shape =
    'The claim sse must be {"subscribe": [...], "publish": [...]}, with strings; both are optional.'
  it.each([
    ['news', shape],
    [null, shape],
    [['news'], shape],
    [{ subscribe: 'news' }, shape],
    [{ subscribe: ['news', 7] }, shape],
    [{ subscibe: ['news'] }, shape],
    [
      { subscribe: ['news'], publish: ['a/{b'] },
      'The claim sse.publish is not valid: "a/{b" is not a topic selector: an expression is a name in braces, such as {id}, within one segment.',
    ],
    [
      { subscribe: Array.from({ length: 101 }, (_, index) => `${index}`) },
      'The claim sse.subscribe is not valid: There are 101 topic selectors; at most 100 are allowed.',
    ],
  ])('refuses a token with the claim %j', async (sse, message) => {
    await gateway.start(TOPICS)
    const answer = await ask('', { sse })
    expect([answer.status, answer.json]).toEqual([401, { error: { code: 'invalid_token', message } }])
  })

  it('reads the claim of Mercure hubs, with other members, if it is told to', async () => {
    await gateway.start({ TOPICS_FORM: 'mercure' })
    const stream = await ask(topicQuery('https://example.com/books/{id}'), {
      mercure: { subscribe: ['https://example.com/books/{id}'], publish: [], payload: { user: 'x' } },
      sse: { subscribe: ['news'] },
    })
    publish('https://example.com/books/1', 'https://example.com/users/1', 'news')
    expect(await seenBy(stream)).toEqual(['https://example.com/books/1'])
    const refused = await ask('', { mercure: ['*'] })
    expect([refused.status, (refused.json.error as { message: string }).message]).toEqual([
      401,
      'The claim mercure must be {"subscribe": [...], "publish": [...]}, with strings; both are optional.',
    ])
  })

  it('reads a nested claim', async () => {
    await gateway.start({ TOPICS_CLAIM: 'resource_access.events' })
    const stream = await ask('', { resource_access: { events: { subscribe: ['news'] } } })
    publish('news')
    expect(await seenBy(stream)).toEqual(['news'])
  })

  it('lets everyone read public topics, and each subject its own', async () => {
    await gateway.start({ PUBLIC_TOPICS: 'news,weather/{city}', OWN_TOPIC: 'users/{sub}' })
    const subjects = ['alice', 'bob', 'ann/../alice', '{sub}', 'x*y']
    const streams = await Promise.all(subjects.map((sub) => ask('', { sub })))
    const nobody = await ask('', { sub: undefined })
    publish(
      'news',
      'users/alice',
      'weather/Rome',
      'users/bob',
      'users/ann%2F..%2Falice',
      'users/%7Bsub%7D',
      'users/x%2Ay',
    )
    const all = ['news', 'weather/Rome']
    expect(await seenBy(nobody)).toEqual(all)
    expect(await Promise.all(streams.map(seenBy))).toEqual([
      ['news', 'users/alice', 'weather/Rome'],
      ['news', 'weather/Rome', 'users/bob'],
      [...all, 'users/ann%2F..%2Falice'],
      [...all, 'users/%7Bsub%7D'],
      [...all, 'users/x%2Ay'],
    ])
    const other = await ask(topicQuery('users/bob'), { sub: 'alice' })
    expect([other.status, other.json]).toEqual([403, forbidden('users/bob')])
    expect((await ask(topicQuery('users/alice'), { sub: 'alice' })).status).toBe(200)
  })

  it('gives no topic of their own to subjects whose names no topic can contain', async () => {
    await gateway.start({ OWN_TOPIC: 'users/{sub}' })
    const long = await ask('', { sub: 'é'.repeat(50) })
    publish(`users/${encodeURIComponent('é'.repeat(50))}`)
    expect([long.status, await seenBy(long)]).toEqual([200, []])
  })

  it('opens a stream of topics with a ticket, within what its token reads', async () => {
    await gateway.start(TOPICS)
    const headers = bearer(await gateway.token({ sse: { subscribe: ['orders/{id}'] } }))
    const issue = async () => (await gateway.request('/tickets', { method: 'POST', headers })).json.ticket
    const open = async (topic: string) =>
      gateway.request(`/events?ticket=${await issue()}&topic=${encodeURIComponent(topic)}`)
    const stream = await open('orders/7')
    publish('orders/7', 'orders/8')
    expect(await seenBy(stream)).toEqual(['orders/7'])
    const refused = await open('news')
    expect([refused.status, refused.json]).toEqual([403, forbidden('news')])
  })

  it('lists the topics of open streams', async () => {
    await gateway.start(TOPICS)
    await openWith(['orders/{id}', 'news'])
    await openWith(['*'], 'news')
    const admin = bearer(await gateway.token({ scope: 'stream:revoke' }))
    const { open } = (await gateway.request('/streams', { headers: admin })).json as {
      open: { topics: string[] }[]
    }
    expect(open.map(({ topics }) => topics).sort()).toEqual([['news'], ['orders/{id}', 'news']])
  })
})

describe('a client that resumes with topics', () => {
  const events = (...numbers: number[]) =>
    numbers
      .map((number) => `topic:${number % 2 === 0 ? 'even' : 'odd'}\nid:${number}\ndata:${number}\n\n`)
      .join('')

  it('gets only their events from the ring buffer', async () => {
    await gateway.start(TOPICS)
    const first = await openWith(['*'])
    gateway.upstream.send(events(1, 2, 3, 4, 5))
    await first.until(({ seen }) => seen.length === 5)
    const resumed = await ask('?topic=odd', { sse: { subscribe: ['odd'] } }, { 'last-event-id': '2' })
    gateway.upstream.send(events(6, 7))
    await resumed.until(({ seen }) => seen.includes('7'))
    expect(resumed.seen).toEqual(['3', '5', '7'])
    expect(gateway.upstream.requests).toHaveLength(1)
  })

  it.each(['odd', '{parity}'])(
    'gets only what %s selects from a private replay, which others find in the ring buffer whole',
    async (selector) => {
      await gateway.start(TOPICS)
      const first = await openWith(['*'])
      gateway.upstream.send(events(5))
      await first.until(({ seen }) => seen.length === 1)
      const resumed = ask(
        `?topic=${encodeURIComponent(selector)}`,
        { sse: { subscribe: [selector] } },
        { 'last-event-id': '1' },
      )
      await gateway.upstream.until(({ streams }) => streams.length === 2)
      expect(gateway.upstream.requests[1]?.url).toBe('/events?topic=*&fields=topic')
      const stream = await resumed
      gateway.upstream.streams[1]?.write(events(2, 3, 4, 5))
      await gateway.upstream.until(({ streams }) => streams.length === 1)
      gateway.upstream.send(events(6, 7))
      await stream.until(({ seen }) => seen.includes('7'))
      expect(stream.seen).toEqual(selector === 'odd' ? ['3', '5', '7'] : ['2', '3', '4', '5', '6', '7'])
      const later = await ask('?topic=even', { sse: { subscribe: ['*'] } }, { 'last-event-id': '3' })
      await later.until(({ seen }) => seen.includes('6'))
      expect(later.seen).toEqual(['4', '6'])
      expect(gateway.upstream.requests).toHaveLength(2)
    },
  )
})

describe('a challenge response for a stream of topics', () => {
  async function challenged(subscribe: readonly string[], ...topics: string[]) {
    await gateway.start(TOPICS)
    const connection = await gateway.connect()
    const stream = await connection.request(`/events${topics.length === 0 ? '' : topicQuery(...topics)}`, {
      headers: bearer(await gateway.token({ sse: { subscribe } })),
    })
    gateway.clock.advance(20_000)
    await stream.event('challenge')
    const answer = async (later: unknown, claims = {}) =>
      connection.request('/events', {
        method: 'POST',
        headers: {
          ...bearer(await gateway.token({ sse: later, ...claims })),
          'content-type': 'application/x-challenge-response',
        },
      })
    return { stream, answer }
  }

  it('extends nothing if the token no longer covers a topic, and the stream ends at its old expiry', async () => {
    const { stream, answer } = await challenged(['orders/{id}', 'news'])
    for (const later of [{ subscribe: ['orders/{id}'] }, { subscribe: ['news', 'orders/7'] }, undefined]) {
      const refused = await answer(later)
      const missing = later === undefined || later.subscribe[0] === 'news' ? 'orders/{id}' : 'news'
      expect([refused.status, refused.json]).toEqual([403, forbidden(missing)])
      expect(refused.headers['www-authenticate']).toContain('error="insufficient_scope"')
    }
    gateway.clock.advance(10_000)
    await stream.end()
    expect(stream.seen).toContain('end:{"reason":"token_expired"}')
    expect((await gateway.request('/metrics')).text).toContain(
      'sse_reauthorizations_total{path="/events",result="refused",service="sse-gateway"} 3',
    )
  })

  it('extends a stream whose topics the token still covers, which keeps them', async () => {
    const { stream, answer } = await challenged(['orders/{id}', 'news'], 'orders/7')
    expect((await answer({ subscribe: ['orders/{id}', 'weather'] })).status).toBe(204)
    publish('orders/7', 'orders/8', 'weather')
    await stream.until(({ seen }) => seen.at(-1) === 'end')
    expect(stream.seen.filter((seen) => !seen.startsWith('challenge'))).toEqual(['orders/7', 'end'])
  })
})

it('a path without topics still sends every event, and no topic, to all', async () => {
  await gateway.start()
  const stream = await gateway.open(await gateway.token({ sse: 'anything' }))
  publish('a', 'b')
  expect(await seenBy(stream)).toEqual(['a', 'b'])
  expect(stream.text).toBe('data:a\n\ndata:b\n\ndata:end\n\n')
  expect(gateway.upstream.requests.map(({ url }) => url)).toEqual(['/events'])
})
