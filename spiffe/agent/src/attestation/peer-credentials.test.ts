import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith } from '@hallpass/service-kit/testing'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { type PeerCredentials, readPeerCredentials } from './peer-credentials.ts'

let folder: string
let server: Server
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credentials-'))
})
afterEach(async () => {
  server.close()
  await rm(folder, { recursive: true })
})

/** Starts a server that passes on each accepted socket before anything reads from it. */
async function serve(accept: (socket: Socket) => void): Promise<string> {
  const path = join(folder, 's.sock')
  server = createServer(accept)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return path
}

describeWith('perl', 'apt-get install perl-base')('readPeerCredentials', () => {
  it('returns the connecting process, according to the kernel', async () => {
    let found: Promise<PeerCredentials> | undefined
    const path = await serve((socket) => {
      found = readPeerCredentials(socket)
      socket.pipe(socket)
    })
    const child = spawn(process.execPath, [
      '-e',
      `require('net').connect(${JSON.stringify(path)}).write('x')`,
    ])
    await new Promise((resolve) => server.once('connection', resolve))
    expect(await found).toEqual({ pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() })
    child.kill()
  })

  it('leaves the socket unchanged: data sent meanwhile arrives, and the socket stays non-blocking', async () => {
    let flags = ''
    const answer = async (socket: Socket) => {
      const found = readPeerCredentials(socket)
      socket.pipe(socket)
      await found
      const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
      flags = /flags:\s+(\d+)/.exec(await readFile(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? ''
      socket.write('.')
    }
    const path = await serve((socket) => void answer(socket))
    const echoed = await new Promise<string>((resolve) => {
      const client = connect(path)
      client.write('hello')
      let text = ''
      client.on('data', (chunk) => {
        text += chunk
        if (text.endsWith('.')) {
          client.destroy()
          resolve(text)
        }
      })
    })
    expect(echoed).toBe('hello.')
    const O_NONBLOCK = 0o4000
    expect(Number.parseInt(flags, 8) & O_NONBLOCK).toBe(O_NONBLOCK)
  })
})
