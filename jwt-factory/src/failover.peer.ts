import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { RedisServers } from '@hallpass/token-store/testing'
import { parseCompact } from '@hallpass/tokens'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { bundle, bundleFolder } from '../../scripts/bundle.js'
import { call, type FactoryProcess, startFactoryProcess } from './testing/factory-process.ts'

const root = join(import.meta.dirname, '../..')

describeWith('redis-server', 'apt-get install redis-server')('a failover that loses the last writes', () => {
  const servers = new RedisServers()
  const factories: FactoryProcess[] = []
  let folder = ''
  let tier: Awaited<ReturnType<RedisServers['startTier']>>
  beforeAll(async () => {
    await bundle(root)
    folder = await mkdtemp(join(tmpdir(), 'failover-'))
    await writeFile(join(folder, 'kek'), randomBytes(32).toString('base64'), { mode: 0o600 })
    await servers.open()
    tier = await servers.startTier('issuer')
  }, 60_000)
  afterAll(async () => {
    for (const factory of factories) await factory.kill()
    await servers.close()
    await rm(folder, { recursive: true })
  })

  const start = async () => {
    const env = {
      STATE_FOLDER: join(folder, `replica-${factories.length}`),
      REDIS_URL: tier.url,
      KEY_ENCRYPTION_KEY_FILE: join(folder, 'kek'),
    }
    const factory = await startFactoryProcess(env, [join(bundleFolder(root), 'jwt-factory.cjs')])
    factories.push(factory)
    return factory.url
  }
  const cli = (...args: string[]) =>
    execFileSync('redis-cli', ['-p', String(tier.master), ...args]).toString()
  const issue = async (url: string) =>
    (await call(`${url}/issueToken/servicea`, 'POST', { aud: 'serviceb' }))?.text ?? ''
  const verify = async (url: string, token: string) =>
    (await call(`${url}/verify/servicea`, 'POST', { token, aud: 'serviceb', sub: 'servicea' }))?.status
  async function until(check: () => Promise<boolean> | boolean, what: string) {
    for (let tries = 0; tries < 400; tries += 1) {
      if (await check()) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`not within 20 s: ${what}`)
  }

  it('takes back no rotation, no withdrawal and no revocation', async () => {
    const [one, other] = [await start(), await start()]
    await call(`${one}/keys/servicea`, 'GET')
    const stolen = await issue(one)
    await until(() => {
      const state = cli('info', 'replication')
      return state.includes(`offset=${/master_repl_offset:(\d+)/.exec(state)?.[1]},`)
    }, 'the replica has everything')
    // From now on the replica gets nothing: it has no password. Connections that exist need none.
    cli('config', 'set', 'requirepass', 'secret')
    cli('-a', 'secret', 'client', 'kill', 'type', 'replica')

    await call(`${one}/keys/servicea`, 'POST')
    const rotated = await issue(one)
    const lost = await issue(one)
    expect(parseCompact(rotated).header.kid).not.toBe(parseCompact(stolen).header.kid)
    await call(`${one}/keys/servicea/withdraw`, 'POST', { kid: parseCompact(stolen).header.kid })
    await fetch(`${one}/revoke`, { method: 'POST', body: new URLSearchParams({ token: lost }) })
    expect(await verify(other, rotated)).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect([await verify(other, stolen), await verify(other, lost)]).toEqual([403, 403])

    await servers.kill(tier.master)
    // While there is no master, the answer is 503. After that, it is never another one than before.
    const answers = { rotated: new Set<unknown>(), stolen: new Set<unknown>(), lost: new Set<unknown>() }
    const record = async () => {
      for (const url of [one, other]) {
        answers.rotated.add(await verify(url, rotated))
        answers.stolen.add(await verify(url, stolen))
        answers.lost.add(await verify(url, lost))
      }
    }
    await until(async () => {
      await record()
      return (await call(`${one}/readyz`, 'GET'))?.status === 200 && (await verify(other, rotated)) === 200
    }, 'a new master')
    for (let round = 0; round < 20; round += 1) await record()
    expect([...answers.rotated].sort()).toEqual([200, 503])
    expect(answers.stolen).not.toContain(200)
    expect(answers.lost).not.toContain(200)

    // It is in the new master, too: a replica that starts now knows it.
    const fresh = await start()
    await until(async () => (await verify(fresh, rotated)) === 200, 'the rotation is stored again')
    await until(async () => (await verify(fresh, lost)) === 403, 'the revocation is stored again')
    expect(await verify(fresh, stolen)).toBe(403)
  }, 90_000)
})
