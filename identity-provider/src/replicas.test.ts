import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserAgent, type Visit } from '@hallpass/pages/testing'
import { describeWith, type RunningService, startServiceProcess } from '@hallpass/service-kit/testing'
import { RedisServer } from '@hallpass/service-kit/testing/redis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'

/** The balancer's URL, which the replicas put into their answers; the tests choose the replica for each request. */
const ISSUER = 'http://localhost:9000'
const WEB_UI = 'http://localhost:4000'

const running: RunningService[] = []
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'idp-replicas-'))
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((replica) => replica.kill()))
  await rm(folder, { recursive: true })
})

async function start(env: Record<string, string> = {}): Promise<RunningService> {
  const replica = await startServiceProcess(join(import.meta.dirname, 'main.ts'), {
    PORT: '0',
    ISSUER,
    WEB_UI_URL: WEB_UI,
    STATE_FOLDER: folder,
    ASSETS_FOLDER: join(import.meta.dirname, '../../web-ui/public'),
    ...env,
  })
  running.push(replica)
  return replica
}

const verifier = randomBytes(32).toString('base64url')
const authorizationPath = `/auth?${new URLSearchParams({
  client_id: 'web-ui',
  response_type: 'code',
  redirect_uri: `${WEB_UI}/callback`,
  scope: 'openid offline_access',
  state: 'state-1',
  nonce: 'nonce-1',
  code_challenge: createHash('sha256').update(verifier).digest('base64url'),
  code_challenge_method: 'S256',
})}`

/** Sends each request of a login to the next one of the replicas. @returns the code, and whether the user was asked. */
async function authorize(agent: UserAgent, replicas: readonly RunningService[]) {
  let path = authorizationPath
  let isAsked = false
  for (let turn = 0; turn < 10; turn += 1) {
    const { url } = replicas[turn % replicas.length] as RunningService
    let visit: Visit = await agent.step('GET', url + path, { accept: 'text/html' })
    if (visit.body.includes('Choose a user')) {
      isAsked = true
      visit = await agent.step(
        'POST',
        `${url}${path}/sign-in`,
        { 'content-type': 'application/x-www-form-urlencoded' },
        'user=ada',
      )
    }
    const location = visit.headers.get('location')
    if (!location) throw new Error(`No redirect: ${visit.status} ${visit.body}`)
    const next = new URL(location, url)
    if (next.origin === WEB_UI) return { code: next.searchParams.get('code') as string, isAsked }
    path = next.pathname + next.search
  }
  throw new Error('The login does not end.')
}

async function token({ url }: RunningService, fields: Record<string, string>) {
  const secret = await readFile(join(folder, 'identity-provider/web-ui-client-secret'), 'utf8')
  const answer = await fetch(`${url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`web-ui:${secret}`).toString('base64')}` },
    body: new URLSearchParams(fields),
  })
  const body = (await answer.json()) as Record<string, string>
  return { status: answer.status, headers: answer.headers, body, refreshToken: body.refresh_token as string }
}

const redeem = (at: RunningService, code: string) =>
  token(at, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: `${WEB_UI}/callback`,
    code_verifier: verifier,
  })
const refresh = (at: RunningService, refreshToken: string) =>
  token(at, { grant_type: 'refresh_token', refresh_token: refreshToken })

function sharesLogins(env: () => Record<string, string>) {
  it('logs in over both, and keeps the login and its refresh token when both are killed', async () => {
    const replicas = await Promise.all([start(env()), start(env())])
    const [one, other] = replicas
    const agent = new UserAgent()
    const { code, isAsked } = await authorize(agent, replicas)
    expect(isAsked).toBe(true)
    const { refreshToken } = await redeem(other, code)
    const renewed = await refresh(one, refreshToken)
    expect(renewed.status).toBe(200)
    await Promise.all(replicas.map((replica) => replica.kill()))
    const next = await start(env())
    expect((await refresh(next, renewed.refreshToken)).status).toBe(200)
    expect((await authorize(agent, [next])).isAsked).toBe(false)
  }, 40_000)

  it('redeem a code, and use a refresh token, once when both get it at the same time; reuse ends the grant', async () => {
    const replicas = await Promise.all([start(env()), start(env())])
    for (const use of [
      async () => {
        const { code } = await authorize(new UserAgent(), replicas)
        return Promise.all(replicas.map((replica) => redeem(replica, code)))
      },
      async () => {
        const { code } = await authorize(new UserAgent(), replicas)
        const { refreshToken } = await redeem(replicas[0], code)
        return Promise.all(replicas.map((replica) => refresh(replica, refreshToken)))
      },
    ]) {
      for (let round = 0; round < 5; round += 1) {
        const answers = await use()
        const successes = answers.filter(({ status }) => status === 200)
        expect(successes.length).toBeLessThanOrEqual(1)
        for (const { status, body } of answers)
          if (status !== 200) expect([status, body.error]).toEqual([400, 'invalid_grant'])
        for (const { refreshToken } of successes)
          for (const replica of replicas)
            expect((await refresh(replica, refreshToken)).body.error).toBe('invalid_grant')
      }
    }
  }, 40_000)

  it('revoke a refresh token at once at both', async () => {
    const replicas = await Promise.all([start(env()), start(env())])
    const [one, other] = replicas
    const { code } = await authorize(new UserAgent(), replicas)
    const { refreshToken } = await redeem(one, code)
    const secret = await readFile(join(folder, 'identity-provider/web-ui-client-secret'), 'utf8')
    const revoked = await fetch(`${one.url}/token/revocation`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`web-ui:${secret}`).toString('base64')}` },
      body: new URLSearchParams({ token: refreshToken }),
    })
    expect(revoked.status).toBe(200)
    expect((await refresh(other, refreshToken)).body.error).toBe('invalid_grant')
  }, 40_000)
}

describe('two replicas on one folder', () => {
  sharesLogins(() => ({}))

  it('write no cookie, code, refresh token or user that can be read', async () => {
    const one = await start()
    const agent = new UserAgent()
    const { code } = await authorize(agent, [one])
    const { refreshToken } = await redeem(one, code)
    const file = await readFile(join(folder, 'identity-provider/logins/store/data.mdb'), 'latin1')
    for (const secret of [...agent.cookies.values(), code, refreshToken, 'accountId', 'grantId'])
      expect([secret, file.includes(secret)]).toEqual([secret, false])
  })
})

describeWith('redis-server', 'apt-get install redis-server')('two replicas on one Redis', () => {
  let redis: RedisServer
  beforeAll(async () => {
    redis = await RedisServer.start()
  })
  afterAll(() => redis.remove())
  beforeEach(() => redis.command('FLUSHALL'))
  const env = () => ({
    REDIS_URL: redis.url,
    KEYS_FILE: join(folder, 'identity-provider/keys.json'),
    COOKIE_SECRET_FILE: join(folder, 'identity-provider/cookie-secret'),
  })

  sharesLogins(env)

  it('answer 503 while Redis does not answer, say so in readyz, and go on when it does', async () => {
    const one = await start(env())
    const agent = new UserAgent()
    const { code } = await authorize(agent, [one])
    const { refreshToken } = await redeem(one, code)
    redis.freeze()
    try {
      const page = await agent.step('GET', one.url + authorizationPath, { accept: 'text/html' })
      expect([page.status, page.headers.get('location'), page.headers.get('retry-after')]).toEqual([
        503,
        null,
        '2',
      ])
      expect(page.body).toContain('The shared store is not available')
      const answer = await refresh(one, refreshToken)
      expect([answer.status, answer.body.error, answer.headers.get('retry-after')]).toEqual([
        503,
        'temporarily_unavailable',
        '2',
      ])
      const ready = await agent.step('GET', `${one.url}/readyz`)
      expect([ready.status, ready.body]).toEqual([503, expect.stringContaining('logins')])
    } finally {
      redis.thaw()
    }
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    expect((await agent.step('GET', `${one.url}/readyz`)).status).toBe(200)
    expect((await refresh(one, refreshToken)).status).toBe(200)
    expect((await authorize(agent, [one])).isAsked).toBe(false)
  }, 40_000)

  it('do not start with other keys than the running ones, and name the variables', async () => {
    await start(env())
    await expect(
      start({
        ...env(),
        KEYS_FILE: join(folder, 'other/keys.json'),
        COOKIE_SECRET_FILE: join(folder, 'other/cookie-secret'),
      }),
    ).rejects.toThrow(
      'COOKIE_SECRET_FILE and KEYS_FILE must be the same for all replicas that share the store at REDIS_URL',
    )
  }, 40_000)
})
