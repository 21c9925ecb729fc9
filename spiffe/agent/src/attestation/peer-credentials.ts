import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/** The process that opened a unix socket, according to the kernel (SO_PEERCRED, unix(7)). */
export interface PeerCredentials {
  readonly pid: number
  readonly uid: number
  readonly gid: number
}

/**
 * Node has no API for SO_PEERCRED, so perl, which is part of every Debian, reads it: 3 ms per connection, no native code.
 * The numbers are Linux's: SOL_SOCKET 1, SO_PEERCRED 17.
 */
const ASK_THE_KERNEL =
  'open(my $s, "+<&=", 3) or exit 1; my $c = getsockopt($s, 1, 17) or exit 1; print join " ", unpack("iII", $c)'
/** The helper runs for milliseconds, but can take a second on a machine that swaps. */
const HELPER_TIMEOUT_MS = 5_000

/**
 * Reads the credentials of the connecting process, as of the time when it connected.
 * Must be called directly after the socket is accepted, before anything else reads from it.
 * @throws if the kernel does not provide them, e.g. on a system other than Linux.
 */
export async function readPeerCredentials(socket: Socket): Promise<PeerCredentials> {
  // As descriptor 3: for 0, 1 and 2, libuv would make the shared socket blocking, which would block this process.
  const helper = spawn('perl', ['-e', ASK_THE_KERNEL], {
    stdio: ['ignore', 'pipe', 'ignore', socket],
    timeout: HELPER_TIMEOUT_MS,
    env: { PATH: '/usr/bin:/bin' },
  })
  // Passing the socket to the helper has stopped reading in this process; start it again for the server.
  socket.read(0)
  const answer = await new Promise<string>((resolve, reject) => {
    let output = ''
    helper.stdout?.on('data', (chunk) => (output += chunk))
    helper.once('error', reject)
    helper.once('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error('the kernel did not return the peer credentials')),
    )
  })
  const [pid, uid, gid] = answer.split(' ').map(Number)
  if (pid === undefined || uid === undefined || gid === undefined || !Number.isInteger(pid + uid + gid))
    throw new Error(`unexpected output of the credentials helper: ${answer}`)
  return { pid, uid, gid }
}
