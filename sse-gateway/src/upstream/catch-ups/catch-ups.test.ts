import { describe, expect, it } from '@jest/globals'
import { useGateway } from '../../testing/gateway.ts'
import type { Answer } from '../../testing/stream-client.ts'

const gateway = useGateway()
const bearer = async (sub: string) => ({ authorization: `Bearer ${await gateway.token({ sub })}` })
const data = ({ events }: Answer) => events.filter(({ event }) => event === undefined).map(({ id }) => id)
const reasons = (reason: string) => gateway.log.split(`"reason":"${reason}"`).length - 1

/** 40 events of 10 KB: more than a connection holds for a client that does not read. */
const IDS = Array.from({ length: 40 }, (_, index) => `${index + 1}`)
const AFTER_THE_FIRST = IDS.slice(1)

/** Makes the upstream replay {@link IDS}, as the SSE server does. */
function replaying(refuse: () => boolean = () => false) {
  gateway.upstream.answer = (request, response) => {
    const last = request.headers['last-event-id']
    if (last !== undefined && refuse()) return response.writeHead(500).end()
    gateway.upstream.stream(request, response)
    if (last === undefined) return
    for (const id of IDS.slice(IDS.indexOf(last as string) + 1))
      response.write(`id:${id}\ndata:${'x'.repeat(10_000)}\n\n`)
  }
}

/** Opens streams that need a replay and read nothing. */
async function attack(sub: string, streams: number) {
  const connection = await gateway.connectNarrow()
  const headers = { ...(await bearer(sub)), 'last-event-id': '1' }
  const answers = await Promise.all(
    Array.from({ length: streams }, () => connection.request('/events', { headers })),
  )
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
  return { connection, answers }
}

/** Six subjects hold every slot: each can hold as many as are free. */
async function attackByMany() {
  const attacks = []
  for (let index = 0; index < 6; index += 1) attacks.push(await attack(`mallory ${index}`, 20))
  expect(await metric('sse_replays_open')).toBe(32)
  expect(await metric('sse_replays_waiting')).toBe(88)
  return attacks
}

const resume = async (sub: string) =>
  gateway.open(await gateway.token({ sub }), 'h2', { 'last-event-id': '1' })

async function metric(name: string): Promise<number> {
  const { text } = await gateway.request('/metrics')
  return Number(new RegExp(`^${name}{.*} (.*)$`, 'm').exec(text)?.[1])
}

describe('clients that do not read their replay', () => {
  it.each([32, 100])('of one subject, %d streams, do not delay another subject', async (streams) => {
    await gateway.start()
    replaying()
    await attack('mallory', streams)
    const startedAt = Date.now()
    const alice = await resume('alice')
    await alice.until((stream) => data(stream).length === AFTER_THE_FIRST.length)
    expect(Date.now() - startedAt).toBeLessThan(1_000)
    expect(data(alice)).toEqual(AFTER_THE_FIRST)
  })

  it('lose their slots: a client that waited gets every event in order', async () => {
    await gateway.start({}, { replays: { stalledMs: 1_000, turnMs: 60_000, waitMs: 60_000 } })
    replaying()
    await attackByMany()
    const alice = await resume('alice')
    await alice.until((stream) => data(stream).length === AFTER_THE_FIRST.length, 20_000)
    expect(data(alice)).toEqual(AFTER_THE_FIRST)
    expect(reasons('client_too_slow')).toBeGreaterThan(0)
    await gateway.until(async () => (await metric('sse_replays_open')) === 0, 30_000)
  }, 60_000)

  it('cannot keep them by reading a byte at a time', async () => {
    await gateway.start({}, { replays: { stalledMs: 60_000, turnMs: 1_000, waitMs: 60_000 } })
    replaying()
    const attacks = await attackByMany()
    let bytes = 0
    const trickle = setInterval(() => {
      bytes += 1
      for (const { connection } of attacks) connection.allow(bytes)
    }, 100)
    const alice = await resume('alice')
    await alice.until((stream) => data(stream).length === AFTER_THE_FIRST.length, 20_000)
    clearInterval(trickle)
    expect(data(alice)).toEqual(AFTER_THE_FIRST)
    expect(reasons('replay_busy')).toBeGreaterThan(0)
    expect(reasons('client_too_slow')).toBe(0)
  }, 60_000)
})

describe('a client that waits for its replay', () => {
  const SLOW = { replays: { stalledMs: 60_000, turnMs: 60_000, waitMs: 60_000 } }

  it('is told after a limited time to reconnect with its last ID, and then misses nothing', async () => {
    await gateway.start({}, { replays: { ...SLOW.replays, waitMs: 500 } })
    replaying()
    const attacks = await attackByMany()
    const alice = await resume('alice')
    await alice.end()
    expect([alice.ended, alice.seen]).toEqual(['cleanly', ['end:{"reason":"replay_busy"}']])
    expect(alice.text).toMatch(/^retry: ?[1-5]\d{3}$/m)
    for (const { connection } of attacks) connection.close()
    const back = await resume('alice')
    await back.until((stream) => data(stream).length === AFTER_THE_FIRST.length)
    expect(data(back)).toEqual(AFTER_THE_FIRST)
  })

  it('gets heartbeats and challenges, and is closed when its token expires', async () => {
    await gateway.start({ HEARTBEAT_SECONDS: '1' }, SLOW)
    replaying()
    await attackByMany()
    const alice = await resume('alice')
    await alice.until(({ text }) => text.startsWith(':\n\n'))
    gateway.clock.advance(20_000)
    await alice.event('challenge')
    gateway.clock.advance(10_000)
    await alice.end()
    expect(alice.seen.at(-1)).toBe('end:{"reason":"token_expired"}')
    expect(await metric('sse_replays_waiting')).toBe(0)
  })

  it('can leave', async () => {
    await gateway.start({}, SLOW)
    replaying()
    await attackByMany()
    const alice = await resume('alice')
    await gateway.until(async () => (await metric('sse_replays_waiting')) === 89)
    alice.close()
    await gateway.until(async () => (await metric('sse_replays_waiting')) === 88)
  })

  it('is dropped if it reads not even the heartbeats', async () => {
    await gateway.start(
      { HEARTBEAT_SECONDS: '1' },
      { replays: { stalledMs: 1_000, turnMs: 60_000, waitMs: 60_000 } },
    )
    replaying()
    await attack('mallory', 17)
    await gateway.until(() => reasons('client_too_slow') === 17, 15_000)
  }, 20_000)

  it('is closed if the upstream is given up, or rejects its replay', async () => {
    await gateway.start({ UPSTREAM_GRACE_SECONDS: '0' }, SLOW)
    let refuses = false
    replaying(() => refuses)
    const attacks = await attackByMany()
    const alice = await resume('alice')
    refuses = true
    for (const { connection } of attacks) connection.close()
    await alice.end()
    expect([alice.ended, alice.seen]).toEqual(['cut', ['end:{"reason":"upstream_failed"}']])

    refuses = false
    await attackByMany()
    const bob = await resume('bob')
    await gateway.upstream.kill()
    await bob.end()
    await gateway.upstream.start()
    expect([bob.ended, bob.seen]).toEqual(['cut', ['end:{"reason":"upstream_failed"}']])
  })

  it('gets no replay when all streams close', async () => {
    await gateway.start({}, SLOW)
    replaying()
    const attacks = await attackByMany()
    const requests = gateway.upstream.requests.length
    await gateway.stopServices()
    await Promise.all(attacks.flatMap(({ answers }) => answers.map((answer) => answer.end())))
    expect(reasons('shutting_down')).toBe(120)
    expect(gateway.upstream.requests.length).toBe(requests)
  })

  it('does not wait for events that another client has brought meanwhile', async () => {
    await gateway.start({}, SLOW)
    replaying()
    await attack('mallory', 16)
    const other = await attack('mallory', 1)
    other.connection.allow(10_000_000)
    const alice = await resume('alice')
    await alice.until((stream) => data(stream).length === AFTER_THE_FIRST.length)
    const [waited] = other.answers as [Answer]
    await waited.until((stream) => data(stream).length === AFTER_THE_FIRST.length)
    expect(data(waited)).toEqual(AFTER_THE_FIRST)
  })
})

it('a rejection of a replay for which a slot is free is a status', async () => {
  await gateway.start()
  replaying(() => true)
  const answer = await gateway.request('/events', {
    headers: { ...(await bearer('alice')), 'last-event-id': '1' },
  })
  expect([answer.status, answer.json]).toEqual([
    502,
    { error: { code: 'upstream_refused', message: 'The upstream answered 500, not an event stream.' } },
  ])
})
