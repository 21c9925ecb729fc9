import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { uidOf, unixSelectors } from './unix-selectors.ts'

let folder: string
let files: { proc: string; etc: string }
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'selectors-'))
  files = { proc: join(folder, 'proc'), etc: join(folder, 'etc') }
  await mkdir(join(files.proc, '4711'), { recursive: true })
  await mkdir(files.etc)
  await writeFile(
    join(files.etc, 'passwd'),
    'root:x:0:0::/:/bin/sh\nclient-workload:x:61001:61001::/:/bin/false\n',
  )
  await writeFile(join(files.etc, 'group'), 'root:x:0:\nworkers:x:61001:\nreaders:x:700:\n')
  const inProc = (name: string) => join(files.proc, '4711', name)
  const fields = Array.from({ length: 40 }, (_, index) => `${index + 4}`)
  await writeFile(inProc('stat'), `4711 (a ) b) S ${fields.join(' ')}\n`)
  await writeFile(inProc('status'), 'Name:\ta\nUid:\t61001\t61001\t61001\t61001\nGroups:\t700 61001 \n')
  await symlink('/usr/bin/client', inProc('exe'))
})
afterEach(() => rm(folder, { recursive: true }))

const peer = { pid: 4711, uid: 61001, gid: 61001 }

describe('unixSelectors', () => {
  it('names user, groups and program', async () => {
    expect(await unixSelectors(peer, files)).toEqual([
      'unix:uid:61001',
      'unix:user:client-workload',
      'unix:gid:61001',
      'unix:group:workers',
      'unix:supplementary_gid:700',
      'unix:supplementary_group:readers',
      'unix:supplementary_gid:61001',
      'unix:supplementary_group:workers',
      'unix:path:/usr/bin/client',
    ])
  })

  it('identifies a process in another PID namespace only by uid and gid', async () => {
    expect(await unixSelectors({ ...peer, pid: 0 }, files)).toEqual([
      'unix:uid:61001',
      'unix:user:client-workload',
      'unix:gid:61001',
      'unix:group:workers',
    ])
  })

  it('rejects a process that has exited', async () => {
    await expect(unixSelectors({ ...peer, pid: 4712 }, files)).rejects.toThrow('ENOENT')
  })

  it('rejects a process that has changed its user since it connected', async () => {
    await expect(unixSelectors({ ...peer, uid: 0 }, files)).rejects.toThrow(
      'the process has changed its user since it connected',
    )
  })

  it('omits the program if it is not readable', async () => {
    await chmod(join(files.proc, '4711'), 0o700)
    await rm(join(files.proc, '4711/exe'))
    expect(await unixSelectors(peer, files)).not.toContain('unix:path:/usr/bin/client')
  })
})

describe('uidOf', () => {
  it('finds a user by name and accepts a number', async () => {
    expect(await uidOf('client-workload', files)).toBe(61001)
    expect(await uidOf('61009', files)).toBe(61009)
    await expect(uidOf('nobody-here', files)).rejects.toThrow('user nobody-here not found')
  })
})
