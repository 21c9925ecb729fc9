import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readlinkSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MAX_SOCKET_PATH_BYTES } from './short-socket-path.ts'

/** Of the hash in a link's name: 64 bits distinguish a user's folders. */
const HASH_DIGITS = 16

/**
 * Returns a path of `folder` that is short enough for its sockets: the folder itself, or, if the socket paths would exceed
 * the system's limit, a symbolic link to it in the temporary folder. All processes of a user get the same link.
 *
 * @param longest the longest socket path, relative to `folder`
 */
export function shortSocketFolder(folder: string, longest: string): string {
  const target = resolve(folder)
  if (Buffer.byteLength(join(target, longest)) <= MAX_SOCKET_PATH_BYTES) return target
  const hash = createHash('sha256').update(target).digest('hex').slice(0, HASH_DIGITS)
  const own = join(tmpdir(), `hp-${process.getuid?.() ?? 0}-${hash}`)
  const link = join(own, 'd')
  unlessThere(() => mkdirSync(own, { mode: 0o700 }))
  // Any user can create a folder there. In another user's folder, the link could lead to that user's sockets.
  const found = lstatSync(own)
  const isOurs = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0
  if (!isOurs) return target
  unlessThere(() => symlinkSync(target, link))
  return readlinkSync(link) === target ? link : target
}

function unlessThere(make: () => void) {
  try {
    make()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
