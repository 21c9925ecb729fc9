import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/** Who opened a unix socket, as the kernel knows it (SO_PEERCRED, unix(7)). */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/**
 * Node has no call for SO_PEERCRED, so perl, which every Debian has, asks the kernel in its stead: 3 ms per
 * connection, no native code. Numbers are those of Linux: SOL_SOCKET 1, SO_PEERCRED 17.
 */
const ASK_THE_KERNEL =
  'open(my $s, "+<&=", 3) or exit 1; my $c = getsockopt($s, 1, 17) or exit 1; print join " ", unpack("iII", $c)'
/** The helper runs for milliseconds; on a machine that swaps it may take a second. */
const HELPER_TIMEOUT_MS = 5_000

/**
 * The credentials of the process that connected, at the time when it did.
 * Must be called when the socket has just been accepted, before anybody else reads from it.
 * @throws when the kernel does not say, e.g. on a system that is not Linux.
 */
export async function readPeerCredentials(socket: Socket): Promise<PeerCredentials> {
  // As descriptor 3: for 0, 1 and 2 libuv would make the shared socket blocking, and with it this whole process.
  const helper = spawn('perl', ['-e', ASK_THE_KERNEL], {
    stdio: ['ignore', 'pipe', 'ignore', socket],
    timeout: HELPER_TIMEOUT_MS,
    env: { PATH: '/usr/bin:/bin' },
  })
  // Sharing it has stopped the socket's reading in this process; whoever serves it needs that again.
  socket.read(0)
  const answer = await new Promise<string>((resolve, reject) => {
    let output = ''
    helper.stdout?.on('data', (chunk) => (output += chunk))
    helper.once('error', reject)
    helper.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error('the kernel does not say who is at the other end')),
    )
  })
  const [pid, uid, gid] = answer.split(' ').map(Number)
  if (pid === undefined || uid === undefined || gid === undefined || !Number.isInteger(pid + uid + gid))
    throw new Error(`unexpected answer of the credentials helper: ${answer}`)
  return { pid, uid, gid }
}
