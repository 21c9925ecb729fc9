import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '@hallpass/service-kit'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Entry } from '../entries/entries.ts'
import type { Workload } from './workload.ts'
import { WorkloadSockets } from './workload-sockets.ts'

let folder: string
let sockets: WorkloadSockets
let attested: Promise<Workload>[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sockets-'))
  attested = []
  sockets = new WorkloadSockets({
    folder: join(folder, 'sockets'),
    serve: (socket, attest) => {
      attested.push(attest)
      socket.end('served')
    },
    log: silentLog,
  })
})
afterEach(async () => {
  await sockets.close()
  await rm(folder, { recursive: true })
})

const entry = (name: string, socketOwner?: string) =>
  ({ id: name, selectors: [`socket:${name}`], socketOwner }) as unknown as Entry
const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)
const dial = (path: string) =>
  new Promise<string>((resolve) => {
    const socket = connect(path)
    socket.on('data', (chunk) => resolve(chunk.toString()))
    socket.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? 'error'))
  })
/** Connects as another user. */
const dialAs = (uid: number, path: string) =>
  spawnSync('perl', [
    '-MIO::Socket::UNIX',
    '-e',
    `$) = $( = ${uid}; $> = $< = ${uid}; print IO::Socket::UNIX->new(Peer => "${path}") ? "in" : "$!"`,
  ]).stdout.toString()

describe('WorkloadSockets', () => {
  it('opens a socket for each workload that only its owner can reach', async () => {
    await sockets.follow([entry('client'), entry('server')])
    expect(await mode(sockets.path('client'))).toBe('600')
    expect(await mode(join(folder, 'sockets/client'))).toBe('700')
    expect(await dial(sockets.path('client'))).toBe('served')
    expect(await attested[0]).toEqual({ selectors: ['socket:client'] })
    await dial(sockets.path('server'))
    expect(await attested[1]).toEqual({ selectors: ['socket:server'] })
  })

  const asRoot = process.getuid?.() === 0 ? it : it.skip
  asRoot('rejects other users, except the one that the socket was given to', async () => {
    await chmod(folder, 0o711)
    await sockets.follow([entry('own'), entry('given', '61001')])
    expect(dialAs(61001, sockets.path('own'))).toBe('Permission denied')
    expect(dialAs(61002, sockets.path('given'))).toBe('Permission denied')
    expect(dialAs(61001, sockets.path('given'))).toBe('in')
  })

  it('closes sockets that no entry names any more, and opens new ones', async () => {
    await sockets.follow([entry('a')])
    await Promise.all([sockets.follow([entry('b')]), sockets.follow([entry('b'), entry('c')])])
    expect(await dial(sockets.path('a'))).toBe('ENOENT')
    expect(await dial(sockets.path('b'))).toBe('served')
    expect(await dial(sockets.path('c'))).toBe('served')
  })

  it('replaces the socket of a killed agent', async () => {
    spawnSync('perl', [
      '-MIO::Socket::UNIX',
      '-e',
      `IO::Socket::UNIX->new(Local => "${join(folder, 's')}", Listen => 1)`,
    ])
    await sockets.openInsecure(join(folder, 's'), ['spiffe://example.org/a'])
    expect(await dial(join(folder, 's'))).toBe('served')
    expect(await attested[0]).toEqual({ selectors: [], given: ['spiffe://example.org/a'] })
  })

  it('rejects the path of a running agent, and of a file', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(join(folder, 's'), resolve))
    await expect(sockets.openAttested(join(folder, 's'))).rejects.toThrow('another agent is listening on')
    other.close()
    await writeFile(join(folder, 'file'), 'precious')
    await expect(sockets.openAttested(join(folder, 'file'))).rejects.toThrow('exists and is not a socket')
  })

  it('reports a path that is too long for a socket', async () => {
    await expect(sockets.openAttested(`/tmp/${'x'.repeat(103)}`)).rejects.toThrow(
      /^unix socket path has \d+ bytes; this system allows 10[37]: /,
    )
  })

  it('attests workloads on the shared socket', async () => {
    await sockets.openAttested(join(folder, 's'))
    await dial(join(folder, 's'))
    expect((await attested[0])?.selectors).toEqual(
      expect.arrayContaining([`unix:uid:${process.getuid?.()}`, `unix:path:${process.execPath}`]),
    )
    expect(await mode(join(folder, 's'))).toBe('777')
  })
})
