import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** `sun_path` of unix(7) has 108 bytes including the final zero byte; macOS has 104. */
export const MAX_SOCKET_PATH_BYTES = 103

/**
 * Runs `use` with a path of the Unix socket that is within the system's length limit. The limit applies to the path as
 * given, so for a socket in a deep folder, a temporary symbolic link to the folder is used while binding or connecting.
 */
export async function withShortSocketPath<T>(socket: string, use: (path: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES) return use(socket)
  // 0700, so that no other user can redirect the link.
  const folder = await mkdtemp(join(tmpdir(), 'hp-'))
  try {
    await symlink(dirname(socket), join(folder, 'd'))
    return await use(join(folder, 'd', basename(socket)))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
