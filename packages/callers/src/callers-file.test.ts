import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '@hallpass/service-kit'
import { ManualClock } from '@hallpass/service-kit/testing'
import { publicJwks, type SigningKey } from '@hallpass/tokens'
import { testKey } from '@hallpass/tokens/testing'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { CallersFile } from './callers-file.ts'
import { privateKeyJwt } from './credentials.ts'

const AUDIENCE = 'https://jwt-factory/'
const A_SECOND = 1_000

let folder: string
let path: string
let lines: string[]
const clock = new ManualClock()
const keys: Record<string, SigningKey> = { a: testKey('ES256', 'a'), b: testKey('ES256', 'b') }

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'callers-file-'))
  path = join(folder, 'callers.json')
  lines = []
  for (const [name, key] of Object.entries(keys)) await publish(name, key)
})
afterEach(() => rm(folder, { recursive: true }))

const publish = (name: string, key: SigningKey) =>
  writeFile(join(folder, `${name}.json`), JSON.stringify(publicJwks([key])))
const fileOf = (...names: string[]) =>
  JSON.stringify({
    callers: names.map((name) => ({ method: 'private_key_jwt', clientId: name, jwksFile: `${name}.json` })),
  })

async function open(file = path): Promise<CallersFile> {
  const log = createLog('test', 'info', { write: (line) => void lines.push(line) })
  const config = { mode: 'authenticated', trustFile: file, leewaySeconds: 5 } as const
  const callers = new CallersFile(config, AUDIENCE, { clock: clock.now, log })
  await callers.load()
  return callers
}
const assertion = async (clientId: string) => {
  const authorization = privateKeyJwt({
    clientId,
    audience: AUDIENCE,
    key: keys[clientId] as SigningKey,
    clock: clock.now,
  })
  return (await authorization()).replace('Bearer ', '')
}
/** Returns which of the clients are accepted. */
async function accepted(callers: CallersFile): Promise<string[]> {
  const names = await Promise.all(
    Object.keys(keys).map(async (name) =>
      callers.identify(await assertion(name)).then(
        () => [name],
        () => [],
      ),
    ),
  )
  return names.flat()
}
const logged = () => lines.map((line) => JSON.parse(line).msg as string)

describe('a trusted-callers file that changes', () => {
  it('takes effect within a second: a removed caller is rejected, an added one accepted', async () => {
    await writeFile(path, fileOf('a'))
    const callers = await open()
    expect(await accepted(callers)).toEqual(['a'])
    await writeFile(path, fileOf('b'))
    clock.advance(A_SECOND)
    expect(await accepted(callers)).toEqual(['b'])
    await expect(callers.identify(await assertion('a'))).rejects.toMatchObject({
      status: 401,
      code: 'invalid_client',
      message: 'Client authentication failed: the issuer of the assertion is not trusted.',
    })
    expect(logged()).toEqual(['trusted callers reloaded'])
    expect(await callers.warning()).toBeUndefined()
  })

  it('takes effect if its clock was set back meanwhile', async () => {
    await writeFile(path, fileOf('a'))
    const callers = await open()
    await writeFile(path, fileOf('b'))
    clock.advance(-3_600_000)
    expect(await accepted(callers)).toEqual(['b'])
    clock.advance(3_600_000)
  })

  it('is noticed when an editor or a deployment replaces it by renaming', async () => {
    await writeFile(path, fileOf('a'))
    const callers = await open()
    await writeFile(join(folder, 'next'), fileOf('b'))
    await rename(join(folder, 'next'), path)
    clock.advance(A_SECOND)
    expect(await accepted(callers)).toEqual(['b'])
  })

  it('is noticed when Kubernetes exchanges the link of a ConfigMap, with the keys in it', async () => {
    const version = async (name: string, file: string, key: SigningKey) => {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'callers.json'), file)
      await writeFile(join(folder, name, 'a.json'), JSON.stringify(publicJwks([key])))
      await symlink(name, join(folder, '..data_tmp'))
      await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    await version('..v1', fileOf('a'), keys.a as SigningKey)
    await mkdir(join(folder, 'mounted'))
    for (const file of ['callers.json', 'a.json', 'b.json'])
      await symlink(join(folder, '..data', file), join(folder, 'mounted', file))
    const callers = await open(join(folder, 'mounted', 'callers.json'))
    expect(await accepted(callers)).toEqual(['a'])
    await version('..v2', fileOf('a').replace('"clientId":"a"', '"clientId":"c"'), keys.a as SigningKey)
    clock.advance(A_SECOND)
    expect(await accepted(callers)).toEqual([])
  })

  it('does not make used assertions valid again, nor unknown keys', async () => {
    await writeFile(path, fileOf('a'))
    const callers = await open()
    const [one, another] = [await assertion('a'), await assertion('a')]
    await callers.identify(one)
    for (const names of [['a', 'b'], ['b'], ['a']]) {
      await writeFile(path, fileOf(...names))
      clock.advance(A_SECOND)
      await callers.warning()
    }
    await expect(callers.identify(one)).rejects.toMatchObject({
      message: 'Client authentication failed: the assertion was already used.',
    })
    expect((await callers.identify(another)).subject).toBe('a')
  })

  it.each<[string, () => Promise<unknown>, string]>([
    ['is not valid', () => writeFile(path, 'callers: ['), 'callers.json'],
    ['is empty', () => writeFile(path, ''), 'callers.json: is empty'],
    ['is deleted', () => rm(path), 'callers.json: does not exist'],
    ['names a missing key file', () => writeFile(path, fileOf('a', 'c')), 'c.json does not exist'],
    ['lists a caller twice', () => writeFile(path, fileOf('a', 'a')), 'is already the name of callers.0'],
  ])(
    'is refused if it %s: the callers stay, and the log and the warning say why',
    async (_what, spoil, reason) => {
      await writeFile(path, fileOf('a'))
      const callers = await open()
      await spoil()
      for (const _second of [1, 2, 3]) {
        clock.advance(A_SECOND)
        expect(await accepted(callers)).toEqual(['a'])
      }
      const readAt = new Date(clock.now() - 3 * A_SECOND).toISOString()
      expect(await callers.warning()).toMatch(
        `The changed file was refused; the callers that were read at ${readAt} stay active. TRUSTED_CALLERS_FILE `,
      )
      expect(await callers.warning()).toContain(reason)
      expect(logged()).toEqual(['trusted callers refused: the previous ones stay active'])
      expect(lines[0]).toContain(reason)

      await writeFile(path, fileOf('a', 'b'))
      clock.advance(A_SECOND)
      expect(await callers.warning()).toBeUndefined()
      expect(await accepted(callers)).toEqual(['a', 'b'])
      expect(logged().at(-1)).toBe('trusted callers reloaded')
    },
  )

  it('reports the lost keys of a caller, which do not prevent the removal of another', async () => {
    await writeFile(path, fileOf('a', 'b'))
    const callers = await open()
    await accepted(callers)
    for (const spoil of [() => rm(join(folder, 'a.json')), () => writeFile(join(folder, 'a.json'), '{}')]) {
      await spoil()
      clock.advance(A_SECOND)
      expect(await callers.warning()).toMatch(
        /^Keys were lost, and their callers are rejected ten seconds later\. TRUSTED_CALLERS_FILE .*: callers\.0\.jwksFile /,
      )
    }
    expect(logged()).toEqual(['keys of trusted callers lost', 'keys of trusted callers lost'])
    await writeFile(path, fileOf('a'))
    clock.advance(10 * A_SECOND)
    expect(await accepted(callers)).toEqual([])
    await publish('a', keys.a as SigningKey)
    clock.advance(2 * A_SECOND)
    expect(await callers.warning()).toBeUndefined()
    expect(await accepted(callers)).toEqual(['a'])
  })

  it('is accepted as soon as the key file exists that it names', async () => {
    await writeFile(path, fileOf('a'))
    const callers = await open()
    await writeFile(path, fileOf('c'))
    clock.advance(A_SECOND)
    expect(await callers.warning()).toContain('c.json does not exist')
    await publish('c', keys.b as SigningKey)
    clock.advance(A_SECOND)
    expect(await callers.warning()).toBeUndefined()
  })
})
