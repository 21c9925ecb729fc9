import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** `sun_path` of unix(7) has 108 bytes, the last of them zero; macOS has 104. */
export const MAX_SOCKET_PATH_BYTES = 103

/**
 * Runs `use` with a path of a Unix socket that the system takes. It limits the length of the path, not of where that
 * leads: for a socket in a deep folder a symbolic link stands in for the folder while the socket is bound or connected.
 */
export async function withShortSocketPath<T>(socket: string, use: (path: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(socket) <= MAX_SOCKET_PATH_BYTES) return use(socket)
  // 0700, so that nobody else can turn the link elsewhere.
  const folder = await mkdtemp(join(tmpdir(), 'hp-'))
  try {
    await symlink(dirname(socket), join(folder, 'd'))
    return await use(join(folder, 'd', basename(socket)))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
