import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@hallpass/free-ports'
import { hiddenField, UserAgent } from '@hallpass/pages/testing'
import { describeWith, type RunningService, startServiceProcess } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type FakeProvider, fakeProvider } from './testing/fake-provider.ts'

const BASE_URL = 'http://localhost:4000'
const RANDOM_SECRET = 'a secret of more than thirty-two characters'
const EVENTS = { 'http://schemas.openid.net/event/backchannel-logout': {} }

const running: RunningService[] = []
let provider: FakeProvider
let folder = ''

beforeAll(async () => {
  provider = await fakeProvider({ port: await freePort() })
  await provider.start()
})
afterAll(() => provider.stop())
beforeEach(async () => {
  provider.state.accessTokenSeconds = 120
  provider.state.tricks = {}
  folder = await mkdtemp(join(tmpdir(), 'web-ui-replicas-'))
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((replica) => replica.kill()))
  await rm(folder, { recursive: true })
})

async function start(env: Record<string, string> = {}): Promise<RunningService> {
  const replica = await startServiceProcess(join(import.meta.dirname, 'main.ts'), {
    PORT: '0',
    BASE_URL,
    STATE_FOLDER: folder,
    ASSETS_FOLDER: join(import.meta.dirname, '../public'),
    SHOULD_AUTHENTICATE: 'true',
    EXPLORER: 'false',
    ISSUER_BASE_URL: provider.state.issuer,
    AUTH0_CLIENT_ID: 'web-ui',
    RESOURCE: 'https://webui',
    ...env,
  })
  running.push(replica)
  return replica
}

/** Logs in; as behind a load balancer, the callback may reach another replica. */
async function logIn(at: RunningService, back = at): Promise<UserAgent> {
  const agent = new UserAgent()
  const login = await agent.step('GET', `${at.url}/login`)
  const redirect = await agent.step('GET', login.headers.get('location') as string)
  const callback = redirect.headers.get('location') as string
  const answer = await agent.step('GET', callback.replace(BASE_URL, back.url))
  expect([answer.status, answer.headers.get('location')]).toEqual([303, '/'])
  return agent
}

const profile = (agent: UserAgent, at: RunningService) =>
  agent.step('GET', `${at.url}/profile`, { accept: 'text/html' })
const isLoggedIn = async (agent: UserAgent, at: RunningService) => {
  const { status, headers } = await profile(agent, at)
  // A stranger is led to the login.
  expect([status, headers.get('location')?.split('?')[0]]).toEqual(
    status === 200 ? [200, undefined] : [303, `${BASE_URL}/login`],
  )
  return status === 200
}
const refreshes = () =>
  provider.state.tokenRequests.filter(({ grant_type }) => grant_type === 'refresh_token').length

function sharesSessions(env: () => Record<string, string>) {
  it('keeps a login when every replica is killed, and finishes one that another replica has begun', async () => {
    const [one, other] = await Promise.all([start(env()), start(env())])
    const agent = await logIn(one, other)
    expect([await isLoggedIn(agent, one), await isLoggedIn(agent, other)]).toEqual([true, true])
    await Promise.all([one.kill(), other.kill()])
    expect(await isLoggedIn(agent, await start(env()))).toBe(true)
  })

  it('ends a session at every replica at once: by logout, and by the provider', async () => {
    const [one, other] = await Promise.all([start(env()), start(env())])
    const agent = await logIn(one)
    const { body } = await profile(agent, other)
    const tab = new UserAgent().with(agent.cookies)
    const logout = await agent.step(
      'POST',
      `${one.url}/logout`,
      { origin: BASE_URL, 'content-type': 'application/x-www-form-urlencoded' },
      `form_token=${hiddenField(body, 'form_token')}`,
    )
    expect([logout.status, logout.body]).toEqual([200, expect.stringContaining('You are logged out here')])
    expect(await isLoggedIn(tab, other)).toBe(false)

    const next = await logIn(other)
    const logoutToken = await provider.state.idToken(
      { events: EVENTS, sid: 'session-1' },
      { typ: 'logout+jwt' },
    )
    const tell = (replica: RunningService) =>
      new UserAgent().step(
        'POST',
        `${replica.url}/backchannel-logout`,
        { 'content-type': 'application/x-www-form-urlencoded' },
        `logout_token=${logoutToken}`,
      )
    expect((await tell(one)).status).toBe(200)
    expect([await isLoggedIn(next, one), await isLoggedIn(next, other)]).toEqual([false, false])
    // A replay is rejected by any replica, also after a restart.
    await one.kill()
    for (const replica of [other, await start(env())]) {
      const replay = await tell(replica)
      expect([replay.status, JSON.parse(replay.body).code]).toEqual([400, 'logout_token_used'])
    }
  })

  it('ends a session at every replica at once: by its user, in another browser', async () => {
    const [one, other] = await Promise.all([start(env()), start(env())])
    const [there, here] = [await logIn(one), await logIn(other)]
    expect(await isLoggedIn(there, other)).toBe(true)
    const { body } = await here.step('GET', `${one.url}/sessions`, { accept: 'text/html' })
    const ended = await here.step(
      'POST',
      `${one.url}/sessions/end`,
      { origin: BASE_URL, 'content-type': 'application/x-www-form-urlencoded' },
      new URLSearchParams({
        form_token: hiddenField(body, 'form_token'),
        handle: hiddenField(body, 'handle'),
      }).toString(),
    )
    expect([ended.status, ended.headers.get('location')]).toEqual([303, '/sessions'])
    expect([await isLoggedIn(there, one), await isLoggedIn(there, other)]).toEqual([false, false])
    expect([await isLoggedIn(here, one), await isLoggedIn(here, other)]).toEqual([true, true])
  })

  it('renews an expired token once for 20 concurrent requests at two replicas', async () => {
    const [one, other] = await Promise.all([start(env()), start(env())])
    provider.state.accessTokenSeconds = 1
    const agent = await logIn(one)
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    provider.state.accessTokenSeconds = 120
    provider.state.tricks = { beforeRefresh: () => new Promise((resolve) => setTimeout(resolve, 300)) }
    const before = refreshes()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => isLoggedIn(agent, index % 2 ? one : other)),
    )
    expect([answers.every(Boolean), refreshes() - before]).toEqual([true, 1])
  })
}

describe('two replicas on one folder', () => {
  sharesSessions(() => ({}))
})

describeWith('redis-server', 'apt-get install redis-server')('two replicas on one Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())
  const env = () => ({ REDIS_URL: redis.url, RANDOM_SECRET })

  sharesSessions(env)

  it('answer 503 while Redis does not answer, say so in readyz, and go on when it does', async () => {
    const one = await start(env())
    const agent = await logIn(one)
    redis.freeze()
    try {
      const page = await profile(agent, one)
      expect([page.status, page.headers.get('retry-after')]).toEqual([503, '2'])
      expect(page.body).toContain('state_unavailable')
      const json = await agent.step('GET', `${one.url}/profile`, { accept: 'application/json' })
      expect([json.status, JSON.parse(json.body).error.code, json.headers.get('retry-after')]).toEqual([
        503,
        'state_unavailable',
        '2',
      ])
      const ready = await agent.step('GET', `${one.url}/readyz`)
      expect([ready.status, ready.body]).toEqual([503, expect.stringContaining('sessions')])
      // A visitor without a session does not need the store.
      expect(await isLoggedIn(new UserAgent(), one)).toBe(false)
    } finally {
      redis.thaw()
    }
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect(await isLoggedIn(agent, one)).toBe(true)
    expect((await agent.step('GET', `${one.url}/readyz`)).status).toBe(200)
  })

  it('do not start with another secret than the running ones, and name the variable', async () => {
    await start(env())
    await expect(start({ ...env(), RANDOM_SECRET: `${RANDOM_SECRET} but another` })).rejects.toThrow(
      'web-ui: RANDOM_SECRET must be the same for all replicas that share the store at REDIS_URL, and another one runs with ' +
        'another value. Set the same for all; to change it, stop all replicas for a minute.',
    )
  })

  it('store no cookie, user or token that can be read', async () => {
    const agent = await logIn(await start(env()))
    const keys = (await redis.keys()).filter((key) => key.includes(':entry:'))
    const stored = [...keys, ...(await Promise.all(keys.map((key) => redis.command('GET', key)))).flat()]
    expect(keys.length).toBeGreaterThan(0)
    for (const secret of [...agent.cookies.values(), ...provider.state.secrets.slice(-3), 'Okafor'])
      expect(stored.join('\n')).not.toContain(secret)
  })
})
