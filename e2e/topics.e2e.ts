import { afterAll, describe, expect, it } from '@jest/globals'
import { Agent, fetch } from 'undici'
import { curl, eventSource, type StreamClient } from './stream-clients.ts'
import { optionsFor, until } from './stream-system.ts'
import { useStreamSystem } from './use-stream-system.ts'

describe('private events of users, published through the gateway', () => {
  const system = useStreamSystem({
    topics: { TOPICS_CLAIM: 'sse', OWN_TOPIC: 'users/{sub}', PUBLIC_TOPICS: 'news' },
  })
  let agent: Agent | undefined
  afterAll(() => agent?.close())

  async function publish(token: string, body: unknown) {
    agent ??= new Agent({ connect: { ca: system.ca } })
    const response = await fetch(`${system.url}/publish`, {
      method: 'POST',
      dispatcher: agent,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, json: await response.json() }
  }

  const users = ['alice@example.com', 'bob', 'carol']
  const topicOf = (user: string) => `users/${encodeURIComponent(user)}`

  it('reach only their user, each once and in order, over each protocol', async () => {
    const publisher = await system.token({ sub: 'shop', sse: { publish: ['users/{user}', 'news'] } }, 300)
    const open = async (user: string, index: number): Promise<StreamClient> => {
      const options = optionsFor(system, await system.token({ sub: user }, 300))
      return index === 0
        ? curl(options, '--http2')
        : index === 1
          ? curl(options, '--http1.1')
          : eventSource(options)
    }
    const clients = await Promise.all(users.map(open))
    await until(() => clients.every(({ seen }) => seen.has('stream')))
    const expected = new Map(users.map((user) => [user, [] as string[]]))
    for (let round = 0; round < 20; round += 1) {
      const events = users.map((user) => ({ topic: topicOf(user), data: `${user} ${round}` }))
      for (const [index, user] of users.entries()) expected.get(user)?.push(`${events[index]?.data}`)
      for (const list of expected.values()) list.push(`news ${round}`)
      for (const event of [...events, { topic: 'news', data: `news ${round}` }])
        expect(await publish(publisher, event)).toEqual({ status: 202, json: { id: expect.any(String) } })
    }
    await until(() =>
      clients.every(({ data }, index) => data.length >= (expected.get(users[index] as string) ?? []).length),
    )
    for (const client of clients) client.close()
    expect(clients.map(({ data }) => data)).toEqual([...expected.values()])
  }, 40_000)

  it('are not published by a user', async () => {
    const token = await system.token({ sub: 'bob', sse: { publish: ['users/bob'] } })
    const answered = await publish(token, { topic: 'users/carol', data: 'x' })
    expect([answered.status, answered.json]).toEqual([
      403,
      {
        error: {
          code: 'topic_forbidden',
          message:
            'The token is not allowed to publish the topic "users/carol": its claim sse.publish must cover it.',
        },
      },
    ])
  })
})
