import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCompact } from '@hallpass/tokens'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { call, type FactoryProcess, startFactoryProcess } from './testing/factory-process.ts'
import { killRotators } from './testing/killed-rotators.ts'

let folder = ''
const factories: FactoryProcess[] = []
const start = async () => {
  const factory = await startFactoryProcess({ STATE_FOLDER: folder })
  factories.push(factory)
  return factory
}
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicas-'))
})
afterEach(async () => {
  for (const factory of factories.splice(0)) await factory.kill()
  await rm(folder, { recursive: true })
})

const verify = (url: string, token: string) =>
  call(`${url}/verify/servicea`, 'POST', { token, aud: 'serviceb', sub: 'servicea' })
const issue = async (url: string) =>
  ((await call(`${url}/issueToken/servicea`, 'POST', { aud: 'serviceb' })) as { text: string }).text
const kidOf = (token: string) => parseCompact(token).header.kid

describe('two factories on one folder', () => {
  it('accept each other’s tokens at once, and share rotations, withdrawals and revocations within a second', async () => {
    const [one, other] = [await start(), await start()]
    await call(`${one.url}/keys/servicea`, 'GET')
    const token = await issue(one.url)
    expect((await verify(other.url, token))?.status).toBe(200)
    await call(`${other.url}/keys/servicea`, 'POST')
    const newer = await issue(other.url)
    expect(kidOf(newer)).not.toBe(kidOf(token))
    expect((await verify(one.url, newer))?.status).toBe(200)
    await call(`${one.url}/keys/servicea/withdraw`, 'POST', { kid: kidOf(token) })
    await fetch(`${one.url}/revoke`, { method: 'POST', body: new URLSearchParams({ token: newer }) })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    for (const refused of [token, newer]) expect((await verify(other.url, refused))?.status).toBe(403)
    expect(kidOf(await issue(one.url))).toBe(kidOf(newer))
  }, 60_000)

  it('keep keys, rotations and revocations without a dump when they are killed', async () => {
    const first = await start()
    await call(`${first.url}/keys/servicea`, 'GET')
    const [token, revoked] = [await issue(first.url), await issue(first.url)]
    await fetch(`${first.url}/revoke`, { method: 'POST', body: new URLSearchParams({ token: revoked }) })
    await first.kill()
    const second = await start()
    expect((await verify(second.url, token))?.status).toBe(200)
    expect((await verify(second.url, revoked))?.status).toBe(403)
  }, 60_000)

  it('lose no key that has signed when one is killed while both rotate', async () => {
    const { signed, lost } = await killRotators(4)
    expect(signed.size).toBeGreaterThan(4)
    expect(lost).toEqual([])
  }, 120_000)
})

describe('a folder that another machine uses', () => {
  const owners = () => join(folder, 'issuer/owners')
  const foreign = JSON.stringify({ host: 'elsewhere', processes: 'pid:[1] other', pid: 1 })

  it('is not opened: an embedded store works only on one machine', async () => {
    const first = await start()
    await writeFile(join(owners(), 'elsewhere.json'), foreign)
    let time = Date.now() / 1000
    const beat = setInterval(() => {
      time += 1
      void utimes(join(owners(), 'elsewhere.json'), time, time)
    }, 500)
    try {
      await expect(start()).rejects.toThrow(
        /issuer: in use by a process of another machine or container \(host elsewhere, pid 1\)\. An embedded store works only for the processes of one machine\. Stop that process, or give all replicas REDIS_URL\./,
      )
    } finally {
      clearInterval(beat)
    }
    expect((await call(`${first.url}/readyz`, 'GET'))?.status).toBe(200)
  }, 60_000)

  it('is taken over when that machine shows nothing any more, as are the files of killed processes', async () => {
    const first = await start()
    await first.kill()
    expect(await readdir(owners())).toHaveLength(1)
    await writeFile(join(owners(), 'elsewhere.json'), foreign)
    const second = await start()
    const left = await readdir(owners())
    expect(left).toHaveLength(1)
    expect(JSON.parse(await readFile(join(owners(), left[0] as string), 'utf8')).pid).toBe(second.process.pid)
    await second.stop()
    expect(await readdir(owners())).toEqual([])
  }, 60_000)
})
